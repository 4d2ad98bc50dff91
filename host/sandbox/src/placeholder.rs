//! The placeholders that stand in commands and texts: `{scratch}`, `{root:NAME}`, in a command `{fd:N}`, and `{{` and `}}` for single braces.

/// What a placeholder asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder<'a> {
    /// The job's private scratch folder.
    Scratch,
    /// The absolute path of the root of this name.
    Root(&'a str),
    /// The path of a command's further descriptor, counted from 0.
    Descriptor(usize),
}

/// A placeholder that can't be put in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPlaceholder(String);

/// Puts values in for all placeholders; `value` says them, none where there is none.
pub fn expand(
    text: &str,
    mut value: impl FnMut(Placeholder<'_>) -> Option<String>,
) -> Result<String, InvalidPlaceholder> {
    const LONE: &str =
        "a single brace is not part of a placeholder; write `{{` or `}}` for a brace";
    let lone = || InvalidPlaceholder(LONE.to_owned());
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once(['{', '}']) {
        expanded.push_str(plain);
        let brace = &rest[plain.len()..=plain.len()];
        if let Some(after) = after.strip_prefix(brace) {
            expanded.push_str(brace);
            rest = after;
            continue;
        }
        let (inner, after) = after
            .split_once('}')
            .filter(|_| brace == "{")
            .ok_or_else(lone)?;
        let placeholder = match inner.split_once(':') {
            Some(("root", name)) => Placeholder::Root(name),
            Some(("fd", number)) if number.bytes().all(|b| b.is_ascii_digit()) => {
                Placeholder::Descriptor(number.parse().map_err(|_| lone())?)
            }
            None if inner == "scratch" => Placeholder::Scratch,
            _ => return Err(lone()),
        };
        let unknown = || InvalidPlaceholder(format!("`{{{inner}}}` has no value here"));
        expanded.push_str(&value(placeholder).ok_or_else(unknown)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A word of a command as a person reads it: doubled braces single, placeholders as they are.
pub fn shown(word: &str) -> String {
    let placeholder = |asked: Placeholder<'_>| {
        Some(match asked {
            Placeholder::Scratch => "{scratch}".to_owned(),
            Placeholder::Root(name) => format!("{{root:{name}}}"),
            Placeholder::Descriptor(number) => format!("{{fd:{number}}}"),
        })
    };
    expand(word, placeholder).unwrap_or_else(|_| word.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Placeholder, expand};

    fn value(placeholder: Placeholder<'_>) -> Option<String> {
        match placeholder {
            Placeholder::Scratch => Some("/tmp/{s}".to_owned()),
            Placeholder::Root(name) => (name == "home").then(|| "/srv/jpom".to_owned()),
            Placeholder::Descriptor(number) => {
                (number < 2).then(|| format!("/dev/fd/{}", number + 3))
            }
        }
    }

    #[test]
    fn values_are_put_in_as_they_are() {
        for (text, expanded) in [
            ("plain", "plain"),
            ("{scratch}/copy.sql", "/tmp/{s}/copy.sql"),
            ("{root:home}{root:home}", "/srv/jpom/srv/jpom"),
            ("--file={fd:0}{fd:01}", "--file=/dev/fd/3/dev/fd/4"),
            (r#"{{"a": "{{scratch}}"}}"#, r#"{"a": "{scratch}"}"#),
        ] {
            assert_eq!(expand(text, value).unwrap(), expanded);
        }
    }

    #[test]
    fn unknown_and_broken_placeholders_are_refused() {
        for text in [
            "{root:other}",
            "{",
            "}",
            "{scratch",
            "a}b",
            "{home}",
            "{}",
            "{scratch }",
            "{fd:}",
            "{fd:2}",
            "{fd:-1}",
            "{fd:99999999999999999999}",
        ] {
            assert!(expand(text, value).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn doubled_braces_come_out_as_they_went_in(text in "[{}a:]{0,12}") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(expand(&doubled, value).unwrap(), text);
        }
    }
}
