//! `INSTALL.json`: the file that holds a Jpom's identity.
//!
//! Jpom writes it compact, with its keys in the order `installId`, `installTime`, `desc`, and reads `installId` alone. A blank id keeps it
//! from starting; where the file is missing it makes itself a new id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest id that fits the columns which refer to it (`varchar(50)`).
const LONGEST_ID: usize = 50;

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("it is not the JSON object that Jpom writes: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its `installId` is blank, and Jpom does not start with a blank one")]
    Blank,
    #[error("its `installId` is not one that Jpom makes (32 hexadecimal digits)")]
    Unlikely,
}

/// The content of `INSTALL.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstallJson {
    /// Who this Jpom is: the key of its row in `CLUSTER_INFO`.
    pub(crate) install_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    install_time: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    desc: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl InstallJson {
    /// Reads the file and checks its id.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let file: Self = serde_json::from_slice(bytes)?;
        if file.install_id.trim().is_empty() {
            return Err(Error::Blank);
        }
        if !is_id(&file.install_id) {
            return Err(Error::Unlikely);
        }
        Ok(file)
    }

    /// The same file for another identity.
    pub(crate) fn with_id(&self, id: &str) -> Self {
        Self {
            install_id: id.to_owned(),
            ..self.clone()
        }
    }

    /// The file as Jpom writes it.
    pub(crate) fn to_json(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Whether a text can be an id. Operators do write their own, so any plain word that fits the database's columns is one.
pub(crate) fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = r#"{"installId":"91c653b3e17c4021b486416e33d014c8","installTime":"2023-12-24 10:00:00","desc":"请勿删除此文件"}"#;

    #[test]
    fn a_file_is_written_back_as_jpom_wrote_it() {
        let file = InstallJson::parse(FILE.as_bytes()).unwrap();
        assert_eq!(file.install_id, "91c653b3e17c4021b486416e33d014c8");
        assert_eq!(file.to_json().unwrap(), FILE);
    }

    #[test]
    fn another_id_changes_nothing_else() {
        let id = "0".repeat(32);
        let file = InstallJson::parse(FILE.as_bytes()).unwrap().with_id(&id);
        assert_eq!(
            file.to_json().unwrap(),
            FILE.replace("91c653b3e17c4021b486416e33d014c8", &id)
        );
    }

    #[test]
    fn unknown_keys_survive() {
        let text = r#"{"installId":"a","more":[1,{"x":null}]}"#;
        let file = InstallJson::parse(text.as_bytes()).unwrap();
        assert_eq!(file.to_json().unwrap(), text);
    }

    #[test]
    fn a_file_without_a_usable_id_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"installId":7}"#,
            r#"{"installId":null}"#,
        ] {
            assert!(
                matches!(InstallJson::parse(text.as_bytes()), Err(Error::Json(_))),
                "{text}"
            );
        }
        assert!(matches!(
            InstallJson::parse(br#"{"installId":" "}"#),
            Err(Error::Blank)
        ));
        for id in ["a'b", "a\\nb", &"x".repeat(51)] {
            let text = format!(r#"{{"installId":"{id}"}}"#);
            assert!(
                matches!(InstallJson::parse(text.as_bytes()), Err(Error::Unlikely)),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = InstallJson::parse(&bytes);
        }
    }
}
