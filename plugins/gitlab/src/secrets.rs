//! The secrets that the database is encrypted with, which no archive holds: seen, compared and recorded by check values, never kept.

use std::collections::BTreeMap;

use copal_sdk::{Command, Failure, Finding, Probe, Severity, Tree, literal};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::config::Kind;
use crate::installation::Installation;
use crate::layout::CONFIG;

/// More than any such file holds.
const LARGEST: usize = 1 << 20;

/// The Omnibus package's file of secrets, in its configuration.
pub(crate) const FILE: &str = "gitlab-secrets.json";

/// Where that is within an installation.
pub(crate) const PLACE: &str = "/etc/gitlab/gitlab-secrets.json";

/// What a secret that differs means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// What is encrypted with it can't be read any more.
    Data,
    /// Sessions and the like end.
    Sessions,
}

/// The secrets by their names in `gitlab_rails` of the Omnibus package, the variables of sameersbn's image, and what is lost without them.
const SECRETS: [(&str, &str, Loss); 7] = [
    ("db_key_base", "GITLAB_SECRETS_DB_KEY_BASE", Loss::Data),
    ("otp_key_base", "GITLAB_SECRETS_OTP_KEY_BASE", Loss::Data),
    (
        "secret_key_base",
        "GITLAB_SECRETS_SECRET_KEY_BASE",
        Loss::Sessions,
    ),
    (
        "encrypted_settings_key_base",
        "GITLAB_SECRETS_ENCRYPTED_SETTINGS_KEY_BASE",
        Loss::Data,
    ),
    (
        "active_record_encryption_primary_key",
        "GITLAB_SECRETS_ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",
        Loss::Data,
    ),
    (
        "active_record_encryption_deterministic_key",
        "GITLAB_SECRETS_ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY",
        Loss::Data,
    ),
    (
        "active_record_encryption_key_derivation_salt",
        "GITLAB_SECRETS_ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT",
        Loss::Data,
    ),
];

/// Check values by the secrets' names.
pub(crate) type CheckValues = BTreeMap<String, String>;

/// The check values of an installation's secrets: from the root `config`, else out of its container. Empty where they can't be seen.
pub(crate) fn check_values(
    config: Option<&dyn Tree>,
    installation: &Installation,
    probe: &dyn Probe,
) -> Result<CheckValues, Failure> {
    if let Some(config) = config
        && config.stat(FILE)?.is_some_and(|entry| entry.is_file())
    {
        let values = of_file(&config.read_all(FILE, LARGEST)?);
        return values.ok_or_else(|| {
            Failure::corrupt(
                "gitlab.secrets.unreadable",
                format!("{CONFIG}/{FILE} is not what the Omnibus package writes"),
            )
        });
    }
    let Some(container) = installation.container() else {
        return Ok(CheckValues::new());
    };
    let command = match installation.kind {
        Kind::Omnibus => installation.exec(&["cat", PLACE]),
        Kind::Sameersbn => {
            let format = literal("{{json .Config.Env}}");
            Command::new(["docker", "inspect", "-f", &format, container])
        }
    };
    // A probe that is not granted is the host's to name.
    let output = probe.run(&command).ok().filter(|output| output.success());
    let values = output.and_then(|output| match installation.kind {
        Kind::Omnibus => of_file(&output.stdout),
        Kind::Sameersbn => of_environment(&output.stdout),
    });
    Ok(values.unwrap_or_default())
}

fn of_file(json: &[u8]) -> Option<CheckValues> {
    let document: Map<String, Value> = serde_json::from_slice(json).ok()?;
    let rails = document.get("gitlab_rails")?.as_object()?;
    Some(values(|(name, ..)| text(rails.get(name)?)))
}

/// `["NAME=value", …]`.
fn of_environment(json: &[u8]) -> Option<CheckValues> {
    let variables: Vec<String> = serde_json::from_slice(json).ok()?;
    Some(values(|(_, variable, _)| {
        let value = variables
            .iter()
            .find_map(|line| line.strip_prefix(variable)?.strip_prefix('='))?;
        // Lists of keys are written as JSON.
        let list = serde_json::from_str(value).ok().filter(Value::is_array);
        list.as_ref().map_or_else(|| Some(value.to_owned()), text)
    }))
}

/// A secret as one text: a key, or all keys of a list.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(keys) => {
            let keys: Option<Vec<&str>> = keys.iter().map(Value::as_str).collect();
            Some(keys?.join("\n"))
        }
        _ => None,
    }
}

fn values(secret: impl Fn((&str, &str, Loss)) -> Option<String>) -> CheckValues {
    let secrets = SECRETS.iter().filter_map(|known| {
        let secret = secret(*known).filter(|secret| !secret.is_empty())?;
        Some((known.0.to_owned(), check_value(known.0, &secret)))
    });
    secrets.collect()
}

/// 32 bits of a digest: enough to tell two secrets apart, and too few to be sure of a guessed one.
fn check_value(name: &str, secret: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["copal/gitlab secret", name, secret] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What it means for a restore that the target has these secrets and the source had those; `unseen` is how bad it is that either could not be seen.
pub(crate) fn compare(
    source: &CheckValues,
    target: &CheckValues,
    unseen: Severity,
) -> Vec<Finding> {
    if source.is_empty() || target.is_empty() {
        let side = if source.is_empty() {
            "source"
        } else {
            "target"
        };
        return vec![
            Finding {
                severity: unseen,
                ..Finding::info(
                    "gitlab.secrets.unknown",
                    format!("The secrets of the {side} could not be seen, so whether the target can read the restored database is not known."),
                )
            }
            .remedy("Make sure that the target has the source's gitlab-secrets.json, or the same GITLAB_SECRETS_… variables. Set `container`, or give /etc/gitlab as the root `config`, to have them compared; or set `target_checked=true` once you have compared them."),
        ];
    }
    let mut findings = Vec::new();
    for (name, _, loss) in SECRETS {
        let Some(value) = source.get(name) else {
            continue;
        };
        if target.get(name) == Some(value) {
            continue;
        }
        let lacks = if target.contains_key(name) {
            format!("The target's secret `{name}` is another than the source's")
        } else {
            format!("The target lacks the secret `{name}`, which the source has")
        };
        findings.push(
            match loss {
                Loss::Data => Finding::error(
                    "gitlab.secrets.differ",
                    format!("{lacks}: what is encrypted with it (tokens, second factors, CI variables) could not be read."),
                ),
                Loss::Sessions => Finding::warning(
                    "gitlab.secrets.differ",
                    format!("{lacks}: everybody would have to sign in again."),
                ),
            }
            .remedy("Give the target the source's secrets before you restore: gitlab-secrets.json, then `gitlab-ctl reconfigure`; or the same GITLAB_SECRETS_… variables, and a new container."),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::info(
            "gitlab.secrets.agree",
            "The target has the source's secrets.",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_the_variables_of_one_secret_have_one_check_value() {
        let file = of_file(br#"{"gitlab_rails":{"db_key_base":"a","active_record_encryption_primary_key":["b","c"],"x":1},"gitlab_shell":{}}"#).unwrap();
        let variables = of_environment(br#"["PATH=/bin","GITLAB_SECRETS_DB_KEY_BASE=a","GITLAB_SECRETS_ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY=[\"b\",\"c\"]"]"#).unwrap();
        assert_eq!(file, variables);
        assert_eq!(file.len(), 2);
        assert!(file.values().all(|value| value.len() == 8));
    }

    #[test]
    fn no_check_value_tells_the_secret() {
        let value = check_value("db_key_base", "hunter2");
        assert!(!value.contains("hunter2"));
        assert_ne!(value, check_value("otp_key_base", "hunter2"));
        assert_ne!(value, check_value("db_key_base", "hunter3"));
    }

    #[test]
    fn files_that_are_none_are_no_secrets() {
        for json in [&b""[..], b"[]", b"{}", br#"{"gitlab_rails":3}"#] {
            assert_eq!(of_file(json), None);
        }
        assert_eq!(of_environment(b"null"), None);
    }

    #[test]
    fn what_differs_is_refused_by_what_it_costs() {
        let secrets = |pairs: &[(&str, &str)]| -> CheckValues {
            let pairs = pairs.iter();
            pairs
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        let source = secrets(&[("db_key_base", "1"), ("secret_key_base", "2")]);
        let severities = |target: &[(&str, &str)]| -> Vec<Severity> {
            let findings = compare(&source, &secrets(target), Severity::Error);
            findings.iter().map(|finding| finding.severity).collect()
        };
        assert_eq!(
            severities(&[("db_key_base", "1"), ("secret_key_base", "2")]),
            [Severity::Info]
        );
        assert_eq!(
            severities(&[("db_key_base", "x"), ("secret_key_base", "2")]),
            [Severity::Error]
        );
        assert_eq!(severities(&[("db_key_base", "1")]), [Severity::Warning]);
        assert_eq!(severities(&[]), [Severity::Error]);
    }
}
