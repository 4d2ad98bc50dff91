//! Files outside packs (indexes, snapshots, locks): JSON, compressed since version 2, then sealed.

use std::io::Read as _;

use super::Malformed;
use super::crypto::Key;

/// Marks compressed JSON; plain JSON begins with `{` or `[`.
const COMPRESSED: u8 = 2;

/// More JSON than this in one file is not believed: an index of 50,000 blobs takes 10 MiB.
const LIMIT: u64 = 1 << 30;

/// Seals JSON for a repository of that version.
///
/// # Errors
/// The compressor or the cipher fails.
pub fn seal(key: &Key, version: u32, json: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::new();
    if version < 2 {
        key.seal(json, &mut out)?;
    } else {
        let mut plaintext = vec![COMPRESSED];
        zstd::stream::copy_encode(json, &mut plaintext, zstd::DEFAULT_COMPRESSION_LEVEL)
            .map_err(|error| Malformed(format!("cannot be compressed: {error}")))?;
        key.seal(&plaintext, &mut out)?;
    }
    Ok(out)
}

/// Opens a sealed file and gives its JSON.
///
/// # Errors
/// It was not sealed with this key, or holds neither JSON nor compressed JSON.
pub fn open(key: &Key, sealed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let plaintext = key.open(sealed)?;
    match plaintext.split_first() {
        Some((b'{' | b'[', _)) => Ok(plaintext),
        Some((&COMPRESSED, compressed)) => {
            let mut json = Vec::new();
            zstd::stream::Decoder::with_buffer(compressed)
                .and_then(|decoder| decoder.take(LIMIT).read_to_end(&mut json))
                .map_err(|error| Malformed(format!("cannot be decompressed: {error}")))?;
            Ok(json)
        }
        Some((mark, _)) => Err(Malformed(format!("unknown mark {mark} before the JSON"))),
        None => Err(Malformed("empty".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::crypto::Secrets;
    use super::*;

    #[test]
    fn both_versions_are_read_back() {
        let key = Key::new(&Secrets::random()).unwrap();
        let json = br#"{"packs":[]}"#.repeat(100);
        for version in [1, 2] {
            let sealed = seal(&key, version, &json).unwrap();
            assert_eq!(sealed.len() < json.len(), version == 2);
            assert_eq!(open(&key, &sealed).unwrap(), json);
        }
        let mut unknown = Vec::new();
        key.seal(b"\x03abc", &mut unknown).unwrap();
        assert!(open(&key, &unknown).is_err());
    }
}
