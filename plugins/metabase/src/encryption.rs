//! Whether a key is the one that a database's values are encrypted with.
//!
//! `MB_ENCRYPTION_SECRET_KEY` becomes 64 bytes by PBKDF2 with HMAC-SHA-512, 100,000 rounds and no salt. A value is the base64 text of an
//! initialization vector of 16 bytes, AES-256-CBC blocks, and half of their HMAC-SHA-512, keyed with the first 32 of those bytes
//! (AES256-CBC-HMAC-SHA512 of draft-mcgrew-aead-aes-cbc-hmac-sha2, without associated data). So the HMAC alone proves the key.
//! Newer versions encrypt values with keys of their own, which the table `data_encryption_key` holds encrypted: a nonce of 12 bytes
//! and AES-256-GCM with the same first 32 bytes.
//! (`metabase.util.encryption` and `metabase.util.encryption.dek` in Metabase's source.)

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha512;

const ROUNDS: u32 = 100_000;
const IV: usize = 16;
const TAG: usize = 32;
const NONCE: usize = 12;

/// Something encrypted that the right key opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Check {
    /// A value, in base64.
    Value(String),
    /// A wrapped key of `data_encryption_key`, in hexadecimal digits.
    Wrapped(String),
}

impl Check {
    /// Whether the key opens it. A value that can't be one is opened by no key.
    pub(crate) fn opens(&self, key: &str) -> bool {
        let mut derived = [0; 64];
        pbkdf2::pbkdf2_hmac::<Sha512>(key.as_bytes(), b"", ROUNDS, &mut derived);
        let (secret, _) = derived.split_at(32);
        match self {
            Self::Value(text) => STANDARD
                .decode(text.trim())
                .is_ok_and(|value| authentic(&value, secret)),
            Self::Wrapped(digits) => unhex(digits).is_some_and(|wrapped| unwraps(&wrapped, secret)),
        }
    }
}

/// Whether a text looks like an encrypted value, as Metabase itself tells.
pub(crate) fn looks_encrypted(text: &str) -> bool {
    STANDARD
        .decode(text.trim())
        .is_ok_and(|value| value.len() >= IV + 16 + TAG && (value.len() - TAG).is_multiple_of(16))
}

fn authentic(value: &[u8], secret: &[u8]) -> bool {
    let Some((message, tag)) = value.split_last_chunk::<TAG>() else {
        return false;
    };
    let Ok(mut mac) = <Hmac<Sha512> as KeyInit>::new_from_slice(secret) else {
        return false;
    };
    mac.update(message);
    message.len() > IV && mac.verify_truncated_left(tag).is_ok()
}

fn unwraps(wrapped: &[u8], secret: &[u8]) -> bool {
    let Some((nonce, sealed)) = wrapped.split_first_chunk::<NONCE>() else {
        return false;
    };
    let Ok(cipher) = Aes256Gcm::new_from_slice(secret) else {
        return false;
    };
    cipher.decrypt(&Nonce::from(*nonce), sealed).is_ok()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Made with Python's hashlib, openssl and the Python package cryptography.
    const KEY: &str = "a key that is long enough";
    const VALUE: &str = "AAECAwQFBgcICQoLDA0OD+j2AcnqyRz1+x5im/cxJHSPDst+Mba9YLa3Wz9kpaKA4rV3BQlWM/482ivIXkVGOZBVYWT+Ha4Sz5kxNPBs7lq5tkqrZhbdJ/cDRNr0pUhi";
    const WRAPPED: &str = "000102030405060708090a0b94c1ac20481b5b652886fd9fff1d8ec4c13a122e7e36d99115b5c83b66f7123703a211eefa432b30494b25a956190d7f";

    #[test]
    fn the_right_key_opens_a_value_and_a_wrapped_key() {
        assert!(Check::Value(VALUE.to_owned()).opens(KEY));
        assert!(Check::Wrapped(WRAPPED.to_owned()).opens(KEY));
        assert!(Check::Wrapped(WRAPPED.to_ascii_uppercase()).opens(KEY));
    }

    #[test]
    fn another_key_and_a_changed_value_open_nothing() {
        for check in [
            Check::Value(VALUE.to_owned()),
            Check::Wrapped(WRAPPED.to_owned()),
        ] {
            assert!(!check.opens("another key of enough length"), "{check:?}");
        }
        assert!(!Check::Value(VALUE.replacen("Aw", "Ax", 1)).opens(KEY));
        for text in ["", "AAAA", "not base64", "é"] {
            assert!(!Check::Value(text.to_owned()).opens(KEY));
            assert!(!Check::Wrapped(text.to_owned()).opens(KEY));
        }
    }

    #[test]
    fn encrypted_values_are_told_from_others() {
        assert!(looks_encrypted(VALUE));
        for text in [
            r#"{"db":"sample"}"#,
            "unencrypted",
            "0f6d6b7e-3c11-4c11-9c11-1a2b3c4d5e6f",
            // A secret key for embedding: 64 hexadecimal digits.
            "4b6f3a5c4b6f3a5c4b6f3a5c4b6f3a5c4b6f3a5c4b6f3a5c4b6f3a5c4b6f3a5c",
        ] {
            assert!(!looks_encrypted(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn hostile_values_never_panic(text in ".{0,40}|[A-Za-z0-9+/]{0,120}={0,2}") {
            let _ = looks_encrypted(&text);
            let _ = unhex(&text).map(|bytes| (authentic(&bytes, &[0; 32]), unwraps(&bytes, &[0; 32])));
        }
    }
}
