//! Key files: the repository's secrets, sealed with a key that scrypt derives from a password.

use rayon::ThreadPoolBuilder;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::crypto::{Key, Secrets};
use super::{Base64, Malformed, Timestamp, is_default};
use crate::parallel::cores;

/// What scrypt may cost: `N` is `2^log_n`, memory is `128 · N · r` bytes, time goes with `N · r · p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScryptCost {
    /// Logarithm of `N`.
    pub log_n: u8,
    /// Block size.
    pub r: u32,
    /// Repetitions.
    pub p: u32,
}

impl ScryptCost {
    /// What restic chooses at least; a few tenths of a second.
    pub const DEFAULT: Self = Self {
        log_n: 15,
        r: 8,
        p: 4,
    };

    /// 512 MiB of memory, and some fifty times the time of what restic writes: a key file that asks for more is not one
    /// that restic wrote for any machine of today, but one that was made to exhaust this one.
    fn is_bearable(self) -> bool {
        let Some(n) = 1_u64.checked_shl(self.log_n.into()) else {
            return false;
        };
        let memory = self.memory();
        let time = n
            .checked_mul(u64::from(self.r))
            .and_then(|work| work.checked_mul(self.p.into()));
        memory.is_some_and(|memory| memory <= 512 << 20) && time.is_some_and(|time| time <= 1 << 26)
    }

    /// Bytes that one repetition takes, if they can be counted.
    fn memory(self) -> Option<u64> {
        let n = 1_u64.checked_shl(self.log_n.into())?;
        n.checked_mul(128 * u64::from(self.r))
    }

    /// How many repetitions are done at a time: two, which take 64 MiB together, where each takes no more than the 32 MiB of restic's keys; else one.
    fn lanes(self) -> usize {
        match self.memory() {
            Some(memory) if memory <= 32 << 20 => cores().min(2),
            _ => 1,
        }
    }
}

/// A file of `keys/`. rustic leaves out who made it, where and when, unless it is told to say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFile {
    /// When it was made.
    #[serde(default, skip_serializing_if = "is_default")]
    pub created: Option<Timestamp>,
    /// By whom.
    #[serde(default, deserialize_with = "super::null_is_default")]
    pub username: String,
    /// Where.
    #[serde(default, deserialize_with = "super::null_is_default")]
    pub hostname: String,
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
    salt: Base64,
    data: Base64,
}

impl KeyFile {
    /// Seals `secrets` with `password`.
    ///
    /// # Errors
    /// scrypt refuses the cost.
    pub fn seal(
        secrets: &Secrets,
        password: &[u8],
        cost: ScryptCost,
        username: String,
        hostname: String,
    ) -> Result<Self, Malformed> {
        let salt: [u8; 64] = rand::random();
        let mut data = Vec::new();
        derive(password, &salt, cost)?.seal(&secrets.to_json()?, &mut data)?;
        Ok(Self {
            created: Some(Timestamp::now()),
            username,
            hostname,
            kdf: "scrypt".into(),
            n: 1 << cost.log_n,
            r: cost.r,
            p: cost.p,
            salt: Base64(salt.to_vec()),
            data: Base64(data),
        })
    }

    /// The secrets, or nothing if the password does not fit.
    ///
    /// # Errors
    /// The file asks for another key derivation or for an unbearable cost, or what it seals are not secrets.
    pub fn open(&self, password: &[u8]) -> Result<Option<Secrets>, Malformed> {
        if self.kdf != "scrypt" || !self.n.is_power_of_two() {
            return Err(Malformed(format!(
                "unknown key derivation `{}`",
                self.kdf.escape_debug()
            )));
        }
        let log_n = u8::try_from(self.n.trailing_zeros()).unwrap_or(u8::MAX);
        let key = derive(
            password,
            &self.salt.0,
            ScryptCost {
                log_n,
                r: self.r,
                p: self.p,
            },
        )?;
        match key.open(&self.data.0) {
            Ok(json) => Secrets::from_json(&Zeroizing::new(json)).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// Never in practice: all fields have JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The key file whose bytes these are.
    ///
    /// # Errors
    /// The bytes are not a key file.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

fn derive(password: &[u8], salt: &[u8], cost: ScryptCost) -> Result<Key, Malformed> {
    let refused = || {
        Malformed(format!(
            "unbearable cost of scrypt: log N {}, r {}, p {}",
            cost.log_n, cost.r, cost.p
        ))
    };
    if !cost.is_bearable() {
        return Err(refused());
    }
    let params = scrypt::Params::new(cost.log_n, cost.r, cost.p).map_err(|_| refused())?;
    let mut bytes = Zeroizing::new([0; Secrets::LENGTH]);
    let several = ThreadPoolBuilder::new().num_threads(cost.lanes()).build();
    // Where no thread can be had, this one does it alone.
    let alone = |_| {
        ThreadPoolBuilder::new()
            .num_threads(1)
            .use_current_thread()
            .build()
    };
    let pool = several.or_else(alone);
    let pool = pool.map_err(|error| Malformed(format!("the password can't be tried: {error}")))?;
    pool.install(|| scrypt::scrypt(password, salt, &params, bytes.as_mut_slice()))
        .map_err(|_| refused())?;
    Key::new(&Secrets::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: ScryptCost = ScryptCost {
        log_n: 4,
        r: 8,
        p: 1,
    };

    fn sealed() -> (Secrets, KeyFile) {
        let secrets = Secrets::random();
        let file = KeyFile::seal(&secrets, b"right", CHEAP, "me".into(), "here".into()).unwrap();
        (secrets, KeyFile::decode(&file.encode().unwrap()).unwrap())
    }

    #[test]
    fn only_the_password_opens_a_key() {
        let (secrets, file) = sealed();
        assert_eq!(file.open(b"right").unwrap(), Some(secrets));
        assert_eq!(file.open(b"wrong").unwrap(), None);
    }

    #[test]
    fn costs_that_would_exhaust_the_machine_are_refused() {
        let (_, file) = sealed();
        for (n, r, p) in [
            (1 << 40, 8, 1),
            (1 << 15, u32::MAX, 1),
            (1 << 15, 8, u32::MAX),
            (1 << 63, 1, 1),
            (2, 0, 1),
        ] {
            assert!(
                KeyFile {
                    n,
                    r,
                    p,
                    ..file.clone()
                }
                .open(b"right")
                .is_err(),
                "{n} {r} {p}"
            );
        }
        assert!(
            KeyFile {
                n: 12345,
                ..file.clone()
            }
            .open(b"right")
            .is_err()
        );
        assert!(
            KeyFile {
                kdf: "none".into(),
                ..file
            }
            .open(b"right")
            .is_err()
        );
    }
}
