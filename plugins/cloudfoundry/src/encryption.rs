//! What the Cloud Controller encrypts, and whether a key opens it.
//!
//! `VCAP::CloudController::Encryptor` of cloud_controller_ng: AES-128-CBC, the result in Base64, a salt in each row. With a salt of 8 bytes, key and
//! vector come from OpenSSL's `EVP_BytesToKey` (MD5, 2,048 rounds); with any other, the key comes from PBKDF2-HMAC-SHA256 and the salt is the vector.

use aes::Aes128;
use aes::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use md5::{Digest, Md5};
use sha2::Sha256;

use crate::survey::{Sealed, Survey};

/// The rounds of either derivation where a row names none.
const ROUNDS: u32 = 2_048;
/// The most rounds that a row is believed to need.
const ROUNDS_LIMIT: u32 = 1_000_000;
/// The rounds of a check value: enough to make guessing a key from it dear, little enough for one look.
const CHECK_ROUNDS: u32 = 100_000;

/// How a key fares with the encrypted values of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    /// There is none to try it on.
    Nothing,
    /// It opens all.
    Opens,
    /// It does not open one.
    Fails,
}

/// Tries a key on the encrypted values of a database. Those under labelled keys are not `db_encryption_key`'s affair.
pub(crate) fn try_key(key: &str, survey: &Survey) -> Trial {
    let sealed: Vec<_> = survey
        .sealed()
        .filter(|sealed| !is_labelled(sealed))
        .collect();
    match sealed.as_slice() {
        [] => Trial::Nothing,
        sealed if sealed.iter().all(|sealed| opens(key, sealed)) => Trial::Opens,
        _ => Trial::Fails,
    }
}

/// Whether a value is encrypted by one of several keys that have labels.
pub(crate) fn is_labelled(sealed: &Sealed) -> bool {
    sealed.label.as_ref().is_some_and(|label| !label.is_empty())
}

/// A value that proves a key and from which it can't be read. `salt` makes it useless for other foundations.
pub(crate) fn check_value(key: &str, salt: &str) -> String {
    let mut check = [0; 16];
    derive(key, salt.as_bytes(), CHECK_ROUNDS, &mut check);
    check.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn opens(key: &str, sealed: &Sealed) -> bool {
    // Wrong padding gives a wrong key away in 255 cases of 256, and what it would leave is hardly ever text.
    decrypt(key, sealed).is_some_and(|plain| std::str::from_utf8(&plain).is_ok())
}

fn decrypt(key: &str, sealed: &Sealed) -> Option<Vec<u8>> {
    let mut text: Vec<u8> = sealed
        .value
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    text = STANDARD.decode(text).ok()?;
    let salt = sealed.salt.as_deref()?.as_bytes();
    let rounds = match &sealed.iterations {
        Some(iterations) => iterations
            .parse()
            .ok()
            .filter(|n| (1..=ROUNDS_LIMIT).contains(n))?,
        None => ROUNDS,
    };
    let (key, vector) = match <[u8; 8]>::try_from(salt) {
        Ok(short) => from_short_salt(key.as_bytes(), short),
        Err(_) => {
            let mut derived = [0; 16];
            derive(key, salt, rounds, &mut derived);
            (derived, salt.get(..16)?.try_into().ok()?)
        }
    };
    let cipher = cbc::Decryptor::<Aes128>::new(&key.into(), &vector.into());
    let length = cipher.decrypt_padded::<Pkcs7>(&mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

fn derive(key: &str, salt: &[u8], rounds: u32, out: &mut [u8; 16]) {
    // HMAC takes keys of any length, so this can't fail.
    let _ = pbkdf2::pbkdf2::<Hmac<Sha256>>(key.as_bytes(), salt, rounds, out);
}

/// `EVP_BytesToKey` with MD5: the first block is the key, the second the vector.
fn from_short_salt(key: &[u8], salt: [u8; 8]) -> ([u8; 16], [u8; 16]) {
    let block = |before: &[u8]| {
        let first: [u8; 16] = Md5::new()
            .chain_update(before)
            .chain_update(key)
            .chain_update(salt)
            .finalize()
            .into();
        (1..ROUNDS).fold(first, |hash, _| Md5::digest(hash).into())
    };
    let first = block(&[]);
    (first, block(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "paasta-db-encryption-key";

    fn sealed(value: &str, salt: &str) -> Sealed {
        Sealed {
            value: value.to_owned(),
            salt: Some(salt.to_owned()),
            label: None,
            iterations: None,
        }
    }

    #[test]
    fn values_of_either_kind_of_salt_are_opened_by_their_key_alone() {
        // Of the sample, which OpenSSL encrypted.
        for (value, salt) in [
            ("recRcOoUHckf9Hp6/r5yyg==", "8899aabb"),
            ("y3spq3lUkIaG/2eoyNWFjw==", "0123456789abcdef"),
        ] {
            let sealed = sealed(value, salt);
            assert!(opens(KEY, &sealed), "{salt}");
            assert!(!opens("another key", &sealed), "{salt}");
        }
    }

    #[test]
    fn what_is_no_encrypted_value_is_opened_by_no_key() {
        for (value, salt) in [
            ("", "8899aabb"),
            ("not base64!", "8899aabb"),
            ("AAAA", "8899aabb"),
            ("recRcOoUHckf9Hp6/r5yyg==", "short"),
        ] {
            assert!(!opens(KEY, &sealed(value, salt)), "{value}");
        }
        let mut endless = sealed("recRcOoUHckf9Hp6/r5yyg==", "0123456789abcdef");
        endless.iterations = Some("4000000000".to_owned());
        assert!(!opens(KEY, &endless));
    }

    #[test]
    fn a_check_value_is_of_one_key_and_one_salt() {
        let check = check_value(KEY, "a");
        assert_eq!(check, check_value(KEY, "a"));
        assert_ne!(check, check_value(KEY, "b"));
        assert_ne!(check, check_value("another key", "a"));
    }
}
