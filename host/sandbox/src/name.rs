//! The contract's spelling of names: UTF-8 in which a backslash stands as `\\` and a byte that is not part of valid UTF-8 as
//! `\xNN`. Every sequence of bytes has exactly one spelling.

use std::fmt::Write as _;

/// A spelling that no name has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name as the contract spells it: a backslash stands as `\\\\`, a byte that is not UTF-8 as `\\xNN`"
)]
pub struct Misspelt(pub String);

/// Spells a name or a path.
pub fn escape(name: &[u8]) -> String {
    let mut spelt = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for (i, part) in chunk.valid().split('\\').enumerate() {
            if i > 0 {
                spelt.push_str(r"\\");
            }
            spelt.push_str(part);
        }
        for byte in chunk.invalid() {
            // Writing to a String never fails.
            let _ = write!(spelt, "\\x{byte:02x}");
        }
    }
    spelt
}

/// The bytes that a spelling stands for.
///
/// Refuses every spelling that [`escape`] does not make, so that no two spellings mean the same file.
pub fn unescape(spelt: &str) -> Result<Vec<u8>, Misspelt> {
    let misspelt = || Misspelt(spelt.to_owned());
    let mut name = Vec::with_capacity(spelt.len());
    let mut rest = spelt;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        name.extend_from_slice(plain.as_bytes());
        if let Some(after) = escaped.strip_prefix('\\') {
            name.push(b'\\');
            rest = after;
        } else {
            let digits = escaped
                .strip_prefix('x')
                .and_then(|after| after.get(..2))
                .filter(|digits| {
                    digits
                        .bytes()
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                })
                .ok_or_else(misspelt)?;
            name.push(u8::from_str_radix(digits, 16).map_err(|_| misspelt())?);
            rest = &escaped[3..];
        }
    }
    name.extend_from_slice(rest.as_bytes());
    // `\x41` would be a second spelling of `A`.
    if escape(&name) == spelt {
        Ok(name)
    } else {
        Err(misspelt())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{escape, unescape};

    #[test]
    fn names_are_spelt_as_the_contract_says() {
        for (name, spelt) in [
            (&b"plain"[..], "plain"),
            ("grün/日本".as_bytes(), "grün/日本"),
            (br"a\b", r"a\\b"),
            (b"\xff\xfe.txt", r"\xff\xfe.txt"),
            (b"caf\xe9\\x", r"caf\xe9\\x"),
            (b"", ""),
        ] {
            assert_eq!(escape(name), spelt);
            assert_eq!(unescape(spelt).unwrap(), name);
        }
    }

    #[test]
    fn second_spellings_are_refused() {
        for spelt in [
            r"\x41",
            r"\xc3\xbc",
            r"\xFF",
            r"\x",
            r"\xf",
            r"\n",
            r"end\",
            r"\xü",
        ] {
            assert!(unescape(spelt).is_err(), "{spelt}");
        }
    }

    proptest! {
        #[test]
        fn every_name_survives(name: Vec<u8>) {
            prop_assert_eq!(unescape(&escape(&name)).unwrap(), name);
        }

        #[test]
        fn a_spelling_that_is_taken_is_the_only_one(spelt in r"[a-z\\xü0-9]{0,12}") {
            if let Ok(name) = unescape(&spelt) {
                prop_assert_eq!(escape(&name), spelt);
            }
        }
    }
}
