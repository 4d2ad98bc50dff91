//! Encryption as restic does it: AES-256 in counter mode, authenticated by Poly1305-AES.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use poly1305::Poly1305;
use poly1305::universal_hash::UniversalHash;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Base64, Malformed};

const IV: usize = 16;
const TAG: usize = 16;

/// How many bytes longer a sealed text is than the plaintext: the initialisation vector before it, the tag after it.
pub const OVERHEAD: usize = IV + TAG;

/// The secrets of a key: 32 bytes for encryption, 16 and 16 for authentication.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Secrets {
    encrypt: [u8; 32],
    mac_k: [u8; 16],
    mac_r: [u8; 16],
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(***)")
    }
}

impl Secrets {
    /// How many bytes the secrets take, in the order encryption, `k`, `r`.
    pub const LENGTH: usize = 64;

    /// Secrets drawn at random.
    pub fn random() -> Self {
        let mut secrets = Self {
            encrypt: rand::random(),
            mac_k: rand::random(),
            mac_r: rand::random(),
        };
        secrets.mask();
        secrets
    }

    /// Secrets derived elsewhere, in the order encryption, `k`, `r`.
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        let mut secrets = Self {
            encrypt: [0; 32],
            mac_k: [0; 16],
            mac_r: [0; 16],
        };
        secrets.encrypt.copy_from_slice(&bytes[..32]);
        secrets.mac_k.copy_from_slice(&bytes[32..48]);
        secrets.mac_r.copy_from_slice(&bytes[48..]);
        secrets.mask();
        secrets
    }

    /// Clears the bits of `r` that Poly1305 does not use, as restic does before it stores them.
    fn mask(&mut self) {
        const MASK: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        self.mac_r = (u128::from_le_bytes(self.mac_r) & MASK).to_le_bytes();
    }
}

/// Room for [`Secrets`] as JSON, so that it is written where it stays.
const JSON: usize = 256;

/// [`Secrets`] as JSON.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct SecretsJson {
    mac: MacJson,
    encrypt: Base64,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct MacJson {
    k: Base64,
    r: Base64,
}

impl Secrets {
    /// The JSON that a key file seals.
    pub(crate) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let mac = MacJson {
            k: Base64(self.mac_k.to_vec()),
            r: Base64(self.mac_r.to_vec()),
        };
        let json = SecretsJson {
            mac,
            encrypt: Base64(self.encrypt.to_vec()),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(JSON));
        serde_json::to_writer(&mut *bytes, &json)?;
        Ok(bytes)
    }

    /// The secrets that a key file sealed.
    pub(super) fn from_json(json: &[u8]) -> Result<Self, Malformed> {
        let json: SecretsJson = serde_json::from_slice(json)?;
        let length = || Malformed("a key of the wrong length".into());
        Ok(Self {
            encrypt: json.encrypt.0.as_slice().try_into().map_err(|_| length())?,
            mac_k: json.mac.k.0.as_slice().try_into().map_err(|_| length())?,
            mac_r: json.mac.r.0.as_slice().try_into().map_err(|_| length())?,
        })
    }
}

/// A key ready for use.
pub struct Key {
    cipher: EncryptingKey,
    mac_k: Aes128,
    secrets: Secrets,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// Prepares the ciphers.
    ///
    /// # Errors
    /// The cipher library refuses the key (it never does for 32 bytes).
    pub fn new(secrets: &Secrets) -> Result<Self, Malformed> {
        let cipher = UnboundCipherKey::new(&AES_256, &secrets.encrypt)
            .and_then(EncryptingKey::ctr)
            .map_err(|_| Malformed("the cipher refuses the key".into()))?;
        Ok(Self {
            cipher,
            mac_k: Aes128::new(&secrets.mac_k.into()),
            secrets: secrets.clone(),
        })
    }

    /// What the ciphers were prepared from.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Counter mode is its own inverse.
    fn apply(&self, iv: &[u8; IV], data: &mut [u8]) -> Result<(), Malformed> {
        self.cipher
            .less_safe_encrypt(data, EncryptionContext::Iv128(iv.into()))
            .map(|_| ())
            .map_err(|_| Malformed("the cipher failed".into()))
    }

    /// Poly1305 of `ciphertext` under `r ‖ AES(k, iv)`.
    fn tag(&self, iv: &[u8; IV], ciphertext: &[u8]) -> [u8; TAG] {
        let mut nonce = aes::Block::from(*iv);
        self.mac_k.encrypt_block(&mut nonce);
        let mut key = poly1305::Key::default();
        key[..16].copy_from_slice(&self.secrets.mac_r);
        key[16..].copy_from_slice(&nonce);
        let (blocks, rest) = poly1305::Block::slice_as_chunks(ciphertext);
        let mut mac = Poly1305::new(&key);
        mac.update(blocks);
        let tag = mac.compute_unpadded(rest).into();
        key.zeroize();
        tag
    }

    /// Appends `plaintext` to `out`, sealed: `IV ‖ ciphertext ‖ tag`.
    ///
    /// # Errors
    /// The cipher library fails; `out` is then as long as before.
    pub fn seal(&self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = out.len();
        let iv: [u8; IV] = rand::random();
        out.reserve(plaintext.len() + OVERHEAD);
        out.extend_from_slice(&iv);
        out.extend_from_slice(plaintext);
        let ciphertext = &mut out[start + IV..];
        if let Err(error) = self.apply(&iv, ciphertext) {
            out.truncate(start);
            return Err(error);
        }
        let tag = self.tag(&iv, ciphertext);
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// The plaintext of `sealed`.
    ///
    /// # Errors
    /// It is too short, or was not sealed with this key, or was changed since.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Malformed> {
        let unauthentic = || Malformed("its authentication tag does not fit".into());
        let (iv, rest) = sealed.split_first_chunk::<IV>().ok_or_else(unauthentic)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or_else(unauthentic)?;
        let expected = self.tag(iv, ciphertext);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected, tag)
            .map_err(|_| unauthentic())?;
        let mut plaintext = ciphertext.to_vec();
        self.apply(iv, &mut plaintext)?;
        Ok(plaintext)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_what_was_changed_does_not(plaintext: Vec<u8>, position: prop::sample::Index, bit in 0..8_u32) {
            let key = Key::new(&Secrets::random()).unwrap();
            let mut sealed = b"before".to_vec();
            key.seal(&plaintext, &mut sealed).unwrap();
            let mut sealed = sealed.split_off(6);
            prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD);
            prop_assert_eq!(key.open(&sealed), Ok(plaintext));
            let position = position.index(sealed.len());
            sealed[position] ^= 1_u8 << bit;
            prop_assert!(key.open(&sealed).is_err());
            prop_assert!(key.open(&sealed[..position]).is_err());
        }
    }

    /// Holds no more than that it compiles: each of these wipes itself.
    #[test]
    fn what_holds_a_key_is_wiped() {
        fn wipes_itself<T: ZeroizeOnDrop>() {}
        wipes_itself::<Secrets>();
        wipes_itself::<SecretsJson>();
        wipes_itself::<Aes128>();
    }

    #[test]
    fn the_json_of_secrets_is_written_where_it_is_wiped() {
        let secrets = Secrets::random();
        let json = secrets.to_json().unwrap();
        assert!(json.len() <= JSON, "it has moved: {}", json.len());
        assert_eq!(Secrets::from_json(&json).unwrap(), secrets);
    }

    /// The example of the Poly1305-AES paper (Bernstein, appendix B): two blocks, one of them short.
    #[test]
    fn the_tag_is_poly1305_aes() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
                .collect()
        };
        let mut bytes = [0; Secrets::LENGTH];
        bytes[32..48].copy_from_slice(&hex("ec074c835580741701425b623235add6"));
        bytes[48..].copy_from_slice(&hex("851fc40c3467ac0be05cc20404f3f700"));
        let key = Key::new(&Secrets::from_bytes(&bytes)).unwrap();
        let nonce: [u8; 16] = hex("fb447350c4e868c52ac3275cf9d4327e").try_into().unwrap();
        assert_eq!(
            key.tag(&nonce, &hex("f3f6")).to_vec(),
            hex("f4c633c3044fc145f84f335cb81953de")
        );
    }
}
