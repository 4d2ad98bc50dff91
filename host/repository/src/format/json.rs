//! JSON as Go's `encoding/json` writes it, and names as its `strconv.Quote` does: what tree ids depend on.

use super::Malformed;

/// Appends `bytes` as a JSON string. Bytes that are not UTF-8 become `\ufffd` each, as in Go.
pub(super) fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        let mut plain = 0;
        let text = chunk.valid();
        for (at, char) in text.char_indices() {
            let short = match char {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => "",
                _ => continue,
            };
            out.extend_from_slice(&text.as_bytes()[plain..at]);
            plain = at + char.len_utf8();
            match short {
                "" => out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes()),
                short => out.extend_from_slice(short.as_bytes()),
            }
        }
        out.extend_from_slice(&text.as_bytes()[plain..]);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

/// A name as Go's `strconv.Quote` writes it, without the outer quotes: reversible for any bytes.
pub(super) fn quote(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                ' '..='~' => out.push(char),
                '\x07' => out.push_str("\\a"),
                '\x08' => out.push_str("\\b"),
                '\x0c' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\x0b' => out.push_str("\\v"),
                '\0'..='\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(char))),
                _ if is_printable(char) => out.push(char),
                '\u{80}'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(char))),
                _ => out.push_str(&format!("\\U{:08x}", u32::from(char))),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols. The standard library's own `Debug` for
/// strings decides by the same categories, after the first character, which it treats specially. Characters that only
/// one of the two Unicode versions knows make another id of the same name, as they do between builds of restic.
fn is_printable(char: char) -> bool {
    let mut bytes = [b'a', 0, 0, 0, 0];
    let length = char.encode_utf8(&mut bytes[1..]).len();
    let text = std::str::from_utf8(&bytes[..=length]).unwrap_or_default();
    text.escape_debug().nth(1) == Some(char)
}

/// Undoes [`quote`].
pub(super) fn unquote(text: &str) -> Result<Vec<u8>, Malformed> {
    if !text.contains('\\') {
        return Ok(text.as_bytes().to_vec());
    }
    let malformed = || Malformed(format!("`{text}` is not a quoted name"));
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let kind = escape.chars().next().ok_or_else(malformed)?;
        let digits = |range: std::ops::Range<usize>, radix| {
            let digits = escape
                .get(range)
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            digits
                .and_then(|digits| u32::from_str_radix(digits, radix).ok())
                .ok_or_else(malformed)
        };
        let (code, length) = match kind {
            'a' => (0x07, 1),
            'b' => (0x08, 1),
            'f' => (0x0c, 1),
            'n' => (0x0a, 1),
            'r' => (0x0d, 1),
            't' => (0x09, 1),
            'v' => (0x0b, 1),
            '\\' | '"' => (u32::from(kind), 1),
            'x' => (digits(1..3, 16)?, 3),
            '0'..='7' => (digits(0..3, 8)?, 3),
            'u' => (digits(1..5, 16)?, 5),
            'U' => (digits(1..9, 16)?, 9),
            _ => return Err(malformed()),
        };
        match kind {
            'u' | 'U' => {
                let char = char::from_u32(code).ok_or_else(malformed)?;
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => out.push(u8::try_from(code).map_err(|_| malformed())?),
        }
        rest = &escape[length..];
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quoting_is_go_s() {
        for (name, quoted) in [
            (&b"plain name.txt"[..], "plain name.txt"),
            (
                b"bad\xff\xfename\"q\\\x01\x7f",
                r#"bad\xff\xfename\"q\\\x01\x7f"#,
            ),
            ("é\u{2028}\u{ad}😀".as_bytes(), "é\\u2028\\u00ad😀"),
            (
                "\u{301}e\u{a0}\u{3000}".as_bytes(),
                "\u{301}e\\u00a0\\u3000",
            ),
            (
                "\u{e0001}\u{fffd}\u{10ffff}".as_bytes(),
                "\\U000e0001\u{fffd}\\U0010ffff",
            ),
            (b"\x07\x08\x0c\n\r\t\x0b\0", r"\a\b\f\n\r\t\v\x00"),
        ] {
            assert_eq!(quote(name), quoted);
            assert_eq!(unquote(quoted).as_deref(), Ok(name));
        }
        assert_eq!(unquote(r"\101").as_deref(), Ok(&b"A"[..]));
    }

    #[test]
    fn escapes_that_go_refuses_are_refused() {
        for text in [
            r"\",
            r"\x1",
            r"\ud800",
            r"\U00110000",
            r"\777",
            r"\q",
            r"\u12",
            r"\x+1",
            "\\é",
            "\\x\u{e9}9",
        ] {
            assert!(unquote(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_are_go_s() {
        let mut out = Vec::new();
        write_string(
            &mut out,
            b"a<b>&\x08\x0c\n\x01\x7f\"\\\xe2\x80\xa8\xff\xc3\xa9",
        );
        let expected =
            "\"a\\u003cb\\u003e\\u0026\\u0008\\u000c\\n\\u0001\x7f\\\"\\\\\\u2028\\ufffdé\"";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    proptest! {
        #[test]
        fn every_name_survives_quoting(name: Vec<u8>, text: String) {
            prop_assert_eq!(unquote(&quote(&name)), Ok(name));
            prop_assert_eq!(unquote(&quote(text.as_bytes())), Ok(text.into_bytes()));
        }

        #[test]
        fn no_text_panics_when_unquoted(text in r#"([\\xuU0-9a-fé"]){0,20}"#) {
            let _ = unquote(&text);
        }

        #[test]
        fn strings_are_json(text: String) {
            let mut out = Vec::new();
            write_string(&mut out, text.as_bytes());
            prop_assert_eq!(serde_json::from_slice::<String>(&out).ok(), Some(text));
        }
    }
}
