//! Texts of documents: what may stand in them, and how they are shown when they are refused.

use std::fmt::{Display, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serializer};
use sha2::{Digest as _, Sha256};

/// Characters of a refused text that a message shows.
const MAX_SHOWN: usize = 300;

/// A hostile text as a message may show it: escaped and short.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.escape_debug().take(MAX_SHOWN).collect();
    if text.escape_debug().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// One line for people: not empty, bounded, and without what steers a terminal, reorders text or can't be seen.
pub(crate) fn line(what: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.len() > limit {
        return Err(format!(
            "its {what} has {} bytes, at most {limit} are allowed",
            text.len()
        ));
    }
    if text.trim() != text || text.is_empty() {
        return Err(format!(
            "its {what} `{}` is empty, or begins or ends with blanks",
            shown(text)
        ));
    }
    if !text.chars().all(is_visible) {
        return Err(format!(
            "its {what} `{}` holds a control character or one that can't be seen",
            shown(text)
        ));
    }
    Ok(())
}

/// Whether a character can be seen as it is: none that steers a terminal, reorders text or hides. Marks that combine with the letter before are visible, and
/// so are blanks of any width within a line.
pub fn is_visible(c: char) -> bool {
    if c.is_whitespace() {
        return !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    }
    let text: String = ['a', c].into_iter().collect();
    matches!(c, '"' | '\'' | '\\') || text.escape_debug().nth(1) == Some(c)
}

/// The SHA-256 of bytes, in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String never fails.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Whether the text is a SHA-256 as [`sha256`] spells it. One that passes is safe as the name of a folder.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Serde's form of what has one spelling as text; other spellings of the same value are refused.
pub(crate) mod spelt {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display> + Display,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        let refused = |problem: &dyn Display| {
            serde::de::Error::custom(format_args!("`{}`: {problem}", shown(&text)))
        };
        let value: T = text.parse().map_err(|problem| refused(&problem))?;
        let canonical = value.to_string();
        if canonical != text {
            return Err(refused(&format_args!("write `{}`", shown(&canonical))));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_holds_what_can_be_seen_and_nothing_else() {
        for text in [
            "a\u{3000}b",
            "plain",
            "默认 ü \"quoted\" \\ 'x'",
            "e\u{301}",
            "한국어",
        ] {
            assert_eq!(line("text", text, 100), Ok(()), "{text}");
        }
        for text in [
            "",
            " ",
            "ends ",
            "two\nlines",
            "tab\tbed",
            "\u{1b}[2J",
            "a\u{9b}2J",
            "a\u{0}",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{2028}b",
            "a\u{feff}b",
            "a\u{ad}b",
            "a\u{2060}b",
            "a\u{e0041}b",
        ] {
            assert!(line("text", text, 100).is_err(), "{text:?}");
        }
        assert!(line("text", "ääää", 7).is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_steers_no_terminal(text: String) {
            let shown = shown(&text);
            prop_assert!(shown.chars().all(|c| !c.is_control()));
            prop_assert!(shown.chars().count() <= MAX_SHOWN + 1);
        }
    }
}
