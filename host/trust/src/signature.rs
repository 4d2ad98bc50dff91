//! Signatures in minisign's own file format.

use std::io::Cursor;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use minisign::SignatureBones;

use crate::key::{self, PublicKey, SecretKey};
use crate::refusal::Refusal;
use crate::text::shown;

/// What precedes the comment that nobody vouches for.
const UNTRUSTED: &str = "untrusted comment: ";
/// What precedes the comment that is signed too.
const TRUSTED: &str = "trusted comment: ";
/// The first comment of minisign's own signatures.
const COMMENT: &str = "signature from minisign secret key";
/// A signature of the document itself.
const LEGACY: [u8; 2] = *b"Ed";
/// Bytes of an Ed25519 signature.
const LENGTH: usize = 64;
/// Bytes of a comment; minisign takes no longer one.
const MAX_COMMENT: usize = 8192;

/// A signature that was read, and proves nothing yet.
pub(crate) struct Signature {
    /// The key's id, as the signature claims it.
    id: [u8; 8],
    /// The algorithm, the id and the signature of the document.
    document: Vec<u8>,
    /// The signature of the signature and the trusted comment.
    global: Vec<u8>,
    comment: String,
}

impl Signature {
    /// Reads the text of a signature's file: four lines, and nothing after them.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or("it has fewer than four lines");
        let untrusted = line()?;
        let document = decode(line()?)?;
        let comment = line()?;
        let global = decode(line()?)?;
        if lines.any(|line| !line.trim().is_empty()) {
            return Err("it has more than four lines");
        }
        if !untrusted.starts_with(UNTRUSTED) {
            return Err("its first line is no comment");
        }
        let comment = comment
            .strip_prefix(TRUSTED)
            .filter(|comment| comment.len() <= MAX_COMMENT)
            .ok_or("its third line is no trusted comment")?;
        let id = document
            .get(2..10)
            .and_then(|id| id.try_into().ok())
            .ok_or("its second line is no signature")?;
        if document.len() != 2 + 8 + LENGTH || SignatureBones::from_bytes(&document).is_err() {
            return Err("its second line is no signature of a kind that Copal knows");
        }
        if global.len() != LENGTH {
            return Err("its fourth line is no signature");
        }
        Ok(Self {
            id,
            document,
            global,
            comment: comment.to_owned(),
        })
    }

    /// The id of the key that is said to have made it.
    pub(crate) fn raw_id(&self) -> [u8; 8] {
        self.id
    }

    /// Whether the key signed these bytes, and the trusted comment with them.
    pub(crate) fn is_by(&self, key: &PublicKey, bytes: &[u8]) -> bool {
        let Some(signature) = self.document.get(2 + 8..) else {
            return false;
        };
        // minisign signs the signature with its comment as it signs a document without hashing it first. Taking it for one keeps the comment exactly
        // as it is: the crate's own reader trims it.
        let global = [&LEGACY[..], &self.id, &self.global].concat();
        let commented = [signature, self.comment.as_bytes()].concat();
        verifies(key, &self.document, bytes) && verifies(key, &global, &commented)
    }
}

/// Whether a signature without comments is the key's signature of the bytes.
fn verifies(key: &PublicKey, signature: &[u8], bytes: &[u8]) -> bool {
    let (Ok(key), Ok(bones)) = (key.minisign(), SignatureBones::from_bytes(signature)) else {
        return false;
    };
    let (quiet, output, legacy) = (true, false, true);
    minisign::verify(
        &key,
        &bones.into(),
        Cursor::new(bytes),
        quiet,
        output,
        legacy,
    )
    .is_ok()
}

/// Signs bytes, hashed first as minisign does by default, and the comment with them. Returns the text of minisign's file.
///
/// # Errors
/// The comment is not one line, or there is no randomness to be had.
pub fn sign(key: &SecretKey, bytes: &[u8], trusted_comment: &str) -> Result<String, Refusal> {
    let unfit = |c: char| c.is_control() && c != '\t';
    if trusted_comment.len() > MAX_COMMENT || trusted_comment.contains(unfit) {
        return Err(Refusal::Comment(shown(trusted_comment)));
    }
    let failed = |error: minisign::PError| Refusal::SecretKey(error.to_string());
    // With the public key the crate verifies what it signed.
    let public = key.public().minisign().map_err(failed)?;
    let signature = minisign::sign(
        Some(&public),
        &key.secret,
        Cursor::new(bytes),
        Some(trusted_comment),
        Some(COMMENT),
    );
    Ok(signature.map_err(failed)?.into_string())
}

/// The trusted comment that minisign itself would write for a file of this name.
pub fn trusted_comment(file: &str, now: Timestamp) -> String {
    format!("timestamp:{}\tfile:{file}\thashed", now.as_second())
}

/// Verifies minisign's signature of bytes and returns its trusted comment, which is fit for no terminal yet.
///
/// # Errors
/// It is not a signature, or not this key's, or not of these bytes. `document` is what messages call them.
pub fn verify(
    key: &PublicKey,
    document: &str,
    bytes: &[u8],
    signature: &[u8],
) -> Result<String, Refusal> {
    let document = document.to_owned();
    let signature = match Signature::parse(signature) {
        Ok(signature) => signature,
        Err(problem) => return Err(Refusal::Signature { document, problem }),
    };
    if signature.id != key.raw_id() {
        return Err(Refusal::OtherKey {
            document,
            found: key::id(signature.id),
            expected: key.id(),
        });
    }
    if !signature.is_by(key, bytes) {
        return Err(Refusal::SignatureWrong {
            document,
            key: key.id(),
        });
    }
    Ok(signature.comment)
}

fn decode(line: &str) -> Result<Vec<u8>, &'static str> {
    if line.len() > 200 {
        return Err("a line of base64 is too long");
    }
    BASE64_STANDARD
        .decode(line.trim_end())
        .map_err(|_| "a line that should be base64 is not")
}
