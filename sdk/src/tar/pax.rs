//! The records of a pax header: `LENGTH KEYWORD=VALUE\n`, one after the other.

use super::damaged;
use crate::Failure;

/// One record.
pub(super) struct Record<'a> {
    pub(super) keyword: &'a [u8],
    pub(super) value: &'a [u8],
    /// All of it.
    pub(super) raw: &'a [u8],
}

/// The records of a header that begins at `offset`.
pub(super) fn records(
    data: &[u8],
    offset: u64,
) -> impl Iterator<Item = Result<Record<'_>, Failure>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((record, after)) = split(rest) else {
            rest = &[];
            return Some(Err(damaged(format!(
                "the extended header at byte {offset} can't be read"
            ))));
        };
        rest = after;
        Some(Ok(record))
    })
}

fn split(data: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let digits = &data[..space];
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let (raw, rest) = data.split_at_checked(length)?;
    let body = raw.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let record = Record {
        keyword: &body[..equals],
        value: &body[equals + 1..],
        raw,
    };
    Some((record, rest))
}

/// A record as bytes; its length counts its own digits.
pub(super) fn record(keyword: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = keyword.len() + value.len() + 3;
    let digits = (1..)
        .find(|digits| (rest + digits).to_string().len() == *digits)
        .unwrap_or(1);
    let mut bytes = (rest + digits).to_string().into_bytes();
    for part in [b" ", keyword, b"=", value, b"\n"] {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A record's value as a number.
pub(super) fn number(value: &[u8], offset: u64) -> Result<u64, Failure> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        damaged(format!(
            "the extended header at byte {offset} holds no number where there should be one"
        ))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_written_is_the_record_read(keyword in "[a-zA-Z.]{1,20}", value: Vec<u8>) {
            let bytes = record(keyword.as_bytes(), &value);
            let read: Vec<_> = records(&bytes, 0).map(|record| {
                let record = record.unwrap();
                (record.keyword.to_vec(), record.value.to_vec(), record.raw.len())
            }).collect();
            prop_assert_eq!(read, [(keyword.into_bytes(), value, bytes.len())]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            for record in records(&bytes, 0) {
                let _ = record;
            }
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        for bytes in [
            &b"7 a=b"[..],
            b"6 a=b",
            b"99 a=b\n",
            b"+6 a=b\n",
            b"5 ab\n",
            b"0 a=b\n",
            b"6a=b\n",
        ] {
            assert!(records(bytes, 0).any(|record| record.is_err()), "{bytes:?}");
        }
    }
}
