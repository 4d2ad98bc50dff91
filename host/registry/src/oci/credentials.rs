//! The credentials of a registry: from the environment, or from where `docker login` puts them.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Bytes of docker's configuration and of a helper's answer.
const MAX_SIZE: u64 = 1 << 20;
/// For a credential helper, which may ask the operator to unlock a key.
const HELPER: Duration = Duration::from_secs(60);

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What of docker's configuration concerns credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The credentials for a registry, if there are any. Those of the environment are for the registry that it names beside them, and told to no other.
pub(super) async fn of(registry: &str) -> Result<Option<Credentials>, String> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    match (
        variable("COPAL_REGISTRY_USER"),
        variable("COPAL_REGISTRY_PASSWORD"),
        variable("COPAL_REGISTRY_HOST"),
    ) {
        (Some(user), Some(password), Some(own)) => {
            if host(&own).eq_ignore_ascii_case(host(registry)) {
                return Ok(Some(Credentials { user, password }));
            }
        }
        (Some(_), Some(_), None) => {
            return Err("COPAL_REGISTRY_HOST does not say for which registry COPAL_REGISTRY_USER and COPAL_REGISTRY_PASSWORD are".to_owned());
        }
        (None, None, _) => {}
        _ => {
            return Err(
                "COPAL_REGISTRY_USER and COPAL_REGISTRY_PASSWORD belong together, and one is missing"
                    .to_owned(),
            );
        }
    }
    let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
    let folder =
        folder.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".docker")));
    let Some(path) = folder.map(|folder| folder.join("config.json")) else {
        return Ok(None);
    };
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    let text = match tokio::fs::File::open(&path).await {
        Ok(file) => {
            let mut text = Vec::new();
            let read = file.take(MAX_SIZE).read_to_end(&mut text).await;
            read.map(|_| text).map_err(unreadable)?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    match configured(&text, registry).map_err(|reason| format!("{}: {reason}", path.display()))? {
        Found::Credentials(credentials) => Ok(Some(credentials)),
        Found::Helper { name, server } => ask(&name, &server).await,
        Found::Nothing => Ok(None),
    }
}

/// What a configuration holds for a registry.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Credentials(Credentials),
    /// `docker-credential-NAME` knows them, under the name `server`.
    Helper {
        name: String,
        server: String,
    },
    Nothing,
}

/// Looks a registry up in docker's configuration.
fn configured(text: &[u8], registry: &str) -> Result<Found, String> {
    // The place of a mistake, not what stands there.
    let configuration: Configuration = serde_json::from_slice(text)
        .map_err(|error| format!("line {}: it is not as docker writes it", error.line()))?;
    let helper = configuration
        .cred_helpers
        .iter()
        .find(|(server, _)| host(server) == host(registry));
    if let Some((server, name)) = helper {
        return Ok(Found::Helper {
            name: name.clone(),
            server: server.clone(),
        });
    }
    let entry = configuration
        .auths
        .into_iter()
        .find(|(server, _)| host(server) == host(registry));
    let Some((server, entry)) = entry else {
        return Ok(match configuration.creds_store {
            Some(name) => Found::Helper {
                name,
                server: registry.to_owned(),
            },
            None => Found::Nothing,
        });
    };
    if entry.identitytoken.is_some_and(|token| !token.is_empty()) {
        return Err(format!(
            "it holds an identity token for {server}, not a name and a password"
        ));
    }
    match (
        entry.auth.filter(|auth| !auth.is_empty()),
        configuration.creds_store,
    ) {
        (Some(auth), _) => {
            let decoded = BASE64.decode(auth.trim()).ok();
            let decoded = decoded.and_then(|decoded| String::from_utf8(decoded).ok());
            let (user, password) = decoded
                .as_deref()
                .and_then(|decoded| decoded.split_once(':'))
                .ok_or_else(|| format!("what it holds for {server} is no name and password"))?;
            Ok(Found::Credentials(Credentials {
                user: user.to_owned(),
                // Docker itself pads some with zeros.
                password: password.trim_end_matches('\0').to_owned(),
            }))
        }
        (None, Some(name)) => Ok(Found::Helper { name, server }),
        (None, None) => Ok(match (entry.username, entry.password) {
            (Some(user), Some(password)) => Found::Credentials(Credentials { user, password }),
            _ => Found::Nothing,
        }),
    }
}

/// The host of a registry as docker spells it: with or without a scheme and a path.
fn host(server: &str) -> &str {
    let server = server.split_once("://").map_or(server, |(_, rest)| rest);
    match server.split('/').next().unwrap_or_default() {
        "docker.io" | "registry-1.docker.io" => "index.docker.io",
        host => host,
    }
}

/// Asks a credential helper, as docker does, without a shell.
async fn ask(name: &str, server: &str) -> Result<Option<Credentials>, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("`{}` is no credential helper", name.escape_debug()));
    }
    let program = format!("docker-credential-{name}");
    let failed = |reason: String| format!("the credential helper {program}: {reason}");
    let asking = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(server.as_bytes()).await?;
        }
        let mut answer = Vec::new();
        if let Some(output) = child.stdout.take() {
            output.take(MAX_SIZE).read_to_end(&mut answer).await?;
        }
        child.wait().await.map(|status| (status, answer))
    };
    let (status, answer) = tokio::time::timeout(HELPER, asking)
        .await
        .map_err(|_| failed("it takes too long".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        // It says so in words alone, and fails.
        return match answer.starts_with(b"credentials not found") {
            true => Ok(None),
            false => Err(failed(format!("it failed ({status})"))),
        };
    }
    let answer: Answer =
        serde_json::from_slice(&answer).map_err(|_| failed("its answer is none".to_owned()))?;
    if answer.username == "<token>" {
        return Err(failed(
            "it holds an identity token, not a name and a password".to_owned(),
        ));
    }
    Ok(Some(Credentials {
        user: answer.username,
        password: answer.secret,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_found_however_docker_spells_it() {
        let me = |password: &str| {
            Found::Credentials(Credentials {
                user: "me".to_owned(),
                password: password.to_owned(),
            })
        };
        let helper = |name: &str, server: &str| Found::Helper {
            name: name.to_owned(),
            server: server.to_owned(),
        };
        // `me:p:w` and `me:hub`
        let text = br#"{
            "auths": {
                "localhost:5000": {"auth": "bWU6cDp3"},
                "https://index.docker.io/v1/": {"auth": "bWU6aHVi"},
                "https://plain.example/v2/": {"username": "me", "password": "plain"},
                "stored.example": {}
            },
            "credHelpers": {"cloud.example": "cloud"},
            "credsStore": "secretservice",
            "HttpHeaders": {"x": "y"}
        }"#;
        for (registry, expected) in [
            ("localhost:5000", me("p:w")),
            ("docker.io", me("hub")),
            ("cloud.example", helper("cloud", "cloud.example")),
            ("stored.example", helper("secretservice", "stored.example")),
            ("other.example", helper("secretservice", "other.example")),
        ] {
            assert_eq!(configured(text, registry).unwrap(), expected, "{registry}");
        }
        let text = br#"{"auths": {"plain.example": {"username": "me", "password": "plain"}}}"#;
        assert_eq!(configured(text, "plain.example").unwrap(), me("plain"));
        assert_eq!(configured(text, "localhost").unwrap(), Found::Nothing);
        assert_eq!(configured(b"{}", "localhost").unwrap(), Found::Nothing);
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_being_shown() {
        for text in [
            r#"{"auths": {"h": {"auth": "s3cret!"}}}"#,
            r#"{"auths": {"h": {"auth": "czNjcmV0"}}}"#,
            r#"{"auths": {"h": {"identitytoken": "s3cret"}}}"#,
            r#"{"auths": "s3cret"}"#,
        ] {
            let error = configured(text.as_bytes(), "h").unwrap_err();
            assert!(
                !error.contains("s3cret") && !error.contains("czNj"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_helper_is_a_program_and_never_a_path() {
        for name in ["", "../../bin/sh", "a b", "x;y"] {
            let error = ask(name, "h").await.unwrap_err();
            assert!(error.ends_with("is no credential helper"), "{error}");
        }
        let error = ask("of-nobody", "h").await.unwrap_err();
        assert!(
            error.starts_with("the credential helper docker-credential-of-nobody: "),
            "{error}"
        );
    }
}
