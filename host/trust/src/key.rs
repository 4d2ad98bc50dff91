//! Keys in minisign's own file formats.
//!
//! minisign's manual, section "Notes", describes the formats: a line with a comment that nobody vouches for, then a line of base64.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::refusal::Refusal;
pub use crate::signature::{sign, trusted_comment, verify};
use crate::text::shown;

/// Ed25519, as minisign's files name it.
const ALGORITHM: [u8; 2] = *b"Ed";
/// A secret key that no password protects.
const UNPROTECTED: [u8; 2] = [0, 0];
/// A secret key that scrypt and a password protect.
const SCRYPT: [u8; 2] = *b"Sc";
/// Bytes of a secret key's file, decoded.
const SECRET_LENGTH: usize = 158;
/// Where the checksum of a secret key begins; it reaches to the end.
const CHECKSUM: usize = 126;
/// Bytes of the text of a key's file.
const MAX_FILE: usize = 4096;
/// Bytes of a password; minisign takes no longer one.
const MAX_PASSWORD: usize = 1024;
/// The comment that minisign writes into every secret key's file, so that it takes ours for its own.
const SECRET_COMMENT: &str = "minisign encrypted secret key";

/// A public key: an Ed25519 point with the id that minisign gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey {
    id: [u8; 8],
    point: [u8; 32],
}

impl PublicKey {
    /// Reads minisign's file of a public key, or the second line of it alone.
    ///
    /// # Errors
    /// It is no such key.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        lines(text).last().copied().unwrap_or_default().parse()
    }

    /// The id as minisign shows it: 16 upper-case hexadecimal digits.
    pub fn id(&self) -> String {
        id(self.id)
    }

    /// The text of minisign's file of this key.
    pub fn file(&self) -> String {
        format!(
            "untrusted comment: minisign public key {}\n{self}\n",
            self.id()
        )
    }

    pub(crate) fn raw_id(&self) -> [u8; 8] {
        self.id
    }

    /// Whether whoever holds the one holds the other too, or nobody could tell them apart.
    pub(crate) fn clashes(&self, other: &Self) -> bool {
        self.id == other.id || self.point == other.point
    }

    fn bytes(&self) -> Vec<u8> {
        [&ALGORITHM[..], &self.id, &self.point].concat()
    }

    pub(crate) fn minisign(&self) -> Result<minisign::PublicKey, minisign::PError> {
        minisign::PublicKey::from_bytes(&self.bytes())
    }
}

impl FromStr for PublicKey {
    type Err = Refusal;

    fn from_str(line: &str) -> Result<Self, Refusal> {
        // What is no public key may be a secret one: its text goes nowhere.
        let refused = || Refusal::PublicKey;
        // Ten bytes more than a key's line has, so that no long text is decoded.
        if line.len() > 66 {
            return Err(refused());
        }
        let bytes = BASE64_STANDARD.decode(line).map_err(|_| refused())?;
        let (algorithm, rest) = bytes.split_first_chunk::<2>().ok_or_else(refused)?;
        let (id, point) = rest.split_first_chunk::<8>().ok_or_else(refused)?;
        let point = <[u8; 32]>::try_from(point).map_err(|_| refused())?;
        if *algorithm != ALGORITHM {
            return Err(refused());
        }
        Ok(Self { id: *id, point })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.bytes()))
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Refusal;

    fn try_from(line: String) -> Result<Self, Refusal> {
        line.parse()
    }
}

/// A secret key, ready to sign. It is wiped from memory when it is dropped.
pub struct SecretKey {
    /// Where it stays, so that no copy is left where it was.
    pub(crate) secret: Box<minisign::SecretKey>,
    public: PublicKey,
}

impl SecretKey {
    /// Whether a password is needed to read the text of this secret key's file.
    ///
    /// # Errors
    /// It is no secret key of minisign's.
    pub fn is_protected(text: &str) -> Result<bool, Refusal> {
        Ok(decode(text)?.1)
    }

    /// Reads the text of a secret key's file. One that minisign made with a password takes a gigabyte of memory for some seconds.
    ///
    /// # Errors
    /// It is no secret key of minisign's, or the password is missing or wrong.
    pub fn read(text: &str, password: Option<&str>) -> Result<Self, Refusal> {
        let (bytes, protected) = decode(text)?;
        let secret = Box::new(if protected {
            let password = password.ok_or(Refusal::PasswordMissing)?;
            let file = minisign::SecretKeyBox::from(text.to_owned());
            file.into_secret_key(Some(password.to_owned()))
                .map_err(|error| match error.kind() {
                    minisign::ErrorKind::Verify => Refusal::PasswordWrong,
                    _ => Refusal::SecretKey(shown(&error.to_string())),
                })?
        } else {
            minisign::SecretKey::from_bytes(&bytes)
                .map_err(|error| Refusal::SecretKey(shown(&error.to_string())))?
        });
        Self::new(secret)
    }

    /// The public key to it.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    fn new(secret: Box<minisign::SecretKey>) -> Result<Self, Refusal> {
        let refused = |error: &dyn fmt::Display| Refusal::SecretKey(shown(&error.to_string()));
        let public = minisign::PublicKey::from_secret_key(&secret)
            .map_err(|error| refused(&error))?
            .to_base64()
            .parse()?;
        let key = Self { secret, public };
        // An unprotected key has no checksum: that it signs what its own public half verifies is the proof that it is whole.
        crate::signature::sign(&key, b"", "")?;
        Ok(key)
    }

    /// Writes a key of zeros over the secret one, which the library itself leaves in memory.
    fn wipe(&mut self) {
        if let Ok(blank) = minisign::SecretKey::from_bytes(&[0; SECRET_LENGTH]) {
            *self.secret = blank;
        }
        // As if it were read again, so that the compiler leaves the writing in.
        std::hint::black_box(&self.secret);
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public.id())
    }
}

/// The two files of a new key, as texts.
pub struct KeyFiles {
    /// The key to give away.
    pub public: PublicKey,
    /// The text of the public key's file.
    pub public_file: String,
    /// The text of the secret key's file.
    pub secret_file: Zeroizing<String>,
}

/// Makes a new key, protected where a password is given. scrypt then takes 32 MiB, less than what minisign itself takes: a long password makes up for it.
///
/// # Errors
/// The password is empty or longer than minisign takes it, or there is no randomness to be had.
pub fn generate(password: Option<&str>) -> Result<KeyFiles, Refusal> {
    if password.is_some_and(|password| password.is_empty() || password.len() > MAX_PASSWORD) {
        return Err(Refusal::PasswordUnfit {
            limit: MAX_PASSWORD,
        });
    }
    let failed = |error: minisign::PError| Refusal::SecretKey(error.to_string());
    let pair = match password {
        Some(password) => minisign::KeyPair::generate_encrypted_keypair(Some(password.to_owned())),
        None => minisign::KeyPair::generate_unencrypted_keypair(),
    };
    let pair = pair.map_err(failed)?;
    let public: PublicKey = pair.pk.to_base64().parse()?;
    let mut bytes = Zeroizing::new(pair.sk.to_bytes());
    if password.is_none()
        && let Some(checksum) = bytes.get_mut(CHECKSUM..)
    {
        // As minisign leaves it in a key that no password protects.
        checksum.fill(0);
    }
    Ok(KeyFiles {
        public_file: public.file(),
        public,
        secret_file: Zeroizing::new(format!(
            "untrusted comment: {SECRET_COMMENT}\n{}\n",
            *Zeroizing::new(BASE64_STANDARD.encode(&*bytes))
        )),
    })
}

/// Writes the secret key's file, which only this user can read, and the public key's beside it.
///
/// # Errors
/// One of the files exists, and then neither is written; or the operating system refuses.
pub fn write(files: &KeyFiles, public: &Path, secret: &Path) -> Result<(), Refusal> {
    let create = |path: &Path, mode| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        options.open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Refusal::KeyExists(path.to_owned()),
            _ => Refusal::state("write", path, error),
        })
    };
    let mut secret_file = create(secret, 0o600)?;
    let mut public_file = create(public, 0o644).inspect_err(|_| remove(secret))?;
    for (file, text, path) in [
        (&mut secret_file, files.secret_file.as_str(), secret),
        (&mut public_file, files.public_file.as_str(), public),
    ] {
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| Refusal::state("write", path, error))?;
    }
    Ok(())
}

/// Takes back an empty file that was just made.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::debug!("can't remove {}: {error}", path.display());
    }
}

/// An id as minisign shows it.
pub(crate) fn id(bytes: [u8; 8]) -> String {
    format!("{:016X}", u64::from_le_bytes(bytes))
}

/// The lines of a key's file that are not empty.
fn lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(3).collect()
}

/// The bytes of a secret key's file, and whether a password protects them.
fn decode(text: &str) -> Result<(Zeroizing<Vec<u8>>, bool), Refusal> {
    let refused = |problem: &str| Refusal::SecretKey(problem.to_owned());
    if text.len() > MAX_FILE {
        return Err(refused("the file is too large"));
    }
    let [_, encoded] = lines(text)[..] else {
        return Err(refused("it has not two lines, a comment and the key"));
    };
    let bytes = BASE64_STANDARD
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| refused("its second line is not base64"))?;
    match (bytes.get(..2), bytes.get(2..4), bytes.len()) {
        (Some(algorithm), Some(protection), SECRET_LENGTH) if *algorithm == ALGORITHM => {
            if *protection == UNPROTECTED {
                Ok((bytes, false))
            } else if *protection == SCRYPT {
                Ok((bytes, true))
            } else {
                Err(refused("it is protected in a way that Copal does not know"))
            }
        }
        _ => Err(refused("its second line is not an Ed25519 secret key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_is_wiped() {
        let files = generate(None).unwrap();
        let mut key = SecretKey::read(&files.secret_file, None).unwrap();
        let secret = decode(&files.secret_file).unwrap().0;
        assert_eq!(key.secret.to_bytes(), *secret);
        key.wipe();
        assert_eq!(key.secret.to_bytes(), vec![0; SECRET_LENGTH]);
    }
}
