//! What a client's error means. `object_store` keeps statuses, answers and attempts in the texts of its errors, so they are read there.

use std::error::Error as StdError;

use object_store::client::{HttpError, HttpErrorKind};

use crate::sftp;
use crate::transport::METADATA;

/// What an error says, all the way down.
pub(crate) struct Diagnosis {
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// Why, in one line.
    pub(crate) reason: String,
    /// Why the place as a whole can't be used, and what to do, where that is the matter. The place is named before it.
    pub(crate) place: Option<String>,
}

/// The services, as far as their credentials differ.
pub(crate) fn credentials(location: &str) -> &'static str {
    match location.split_once(':').map(|(scheme, _)| scheme) {
        Some("s3") => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
        Some("b2") => "B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY",
        Some("gs") => {
            "GOOGLE_APPLICATION_CREDENTIALS, the path of a file with a service account's key"
        }
        Some("az") => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        Some("http" | "https") => {
            "name and password in the address, as in `https://NAME:PASSWORD@HOST/PATH`"
        }
        _ => "the credentials",
    }
}

impl Diagnosis {
    pub(crate) fn of(location: &str, error: &object_store::Error) -> Self {
        let causes: Vec<_> = causes(error).collect();
        if let Some(error) = find::<sftp::Error>(&causes) {
            return Self {
                attempts: error.attempts,
                reason: error.failure.to_string(),
                place: by_ssh(&error.failure, location),
            };
        }
        let texts: Vec<_> = causes.iter().map(ToString::to_string).collect();
        let attempts = texts
            .iter()
            .find_map(|text| retries(text))
            .map_or(1, |retries| retries + 1);
        let answer = texts
            .iter()
            .rev()
            .find(|text| text.contains("Server returned"));
        let code = answer.and_then(|answer| element(answer, "Code"));
        let message = answer.and_then(|answer| element(answer, "Message"));
        let status = answer.and_then(|answer| status(answer));
        // The deepest cause says why; the layers above repeat it with internals of the client.
        let deepest = texts.last().map(String::as_str).unwrap_or_default();
        let reason = match (code, message) {
            (Some(code), Some(message)) => format!("{}, {code}", first_line(message)),
            (Some(code), None) => code.to_owned(),
            _ => first_line(deepest.trim_start_matches("Server returned non-2xx ")),
        };
        let needs = credentials(location);
        let kind = find::<HttpError>(&causes).map(HttpError::kind);
        let place = if kind.is_some() && texts.iter().any(|text| is_metadata(text)) {
            Some(format!(
                "needs credentials, and there are none: set {needs}"
            ))
        } else if kind == Some(HttpErrorKind::Connect) {
            Some(format!(
                "cannot be reached{}: {reason}; check the address, and the network and any proxy on the way",
                times(attempts)
            ))
        } else {
            by_code(code.unwrap_or_default(), status, &reason, needs)
        };
        Self {
            attempts,
            reason,
            place,
        }
    }
}

/// For the end of a sentence that says that something failed.
pub(crate) fn times(attempts: u32) -> String {
    match attempts {
        ..=1 => String::new(),
        attempts => format!(" after {attempts} attempts"),
    }
}

/// By the codes of S3 and Google (the same), and Azure.
fn by_code(code: &str, status: Option<u16>, reason: &str, needs: &str) -> Option<String> {
    match (code, status) {
        ("NoSuchBucket" | "ContainerNotFound", _) => Some(
            "does not exist: make the bucket or container with the service's own tools, or correct its name".to_owned(),
        ),
        ("InvalidBucketName" | "InvalidResourceName", _) => {
            Some(format!("has no valid name ({reason}): correct it"))
        }
        (
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AuthenticationFailed" | "InvalidToken" | "ExpiredToken"
            | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" | "AuthenticationRequired",
            _,
        )
        | (_, Some(401)) => Some(format!("does not accept the credentials ({reason}): check {needs}")),
        ("RequestTimeTooSkewed", _) => {
            Some("does not accept this machine's time: set its clock".to_owned())
        }
        ("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed", _) => Some(format!(
            "lies in another region or at another endpoint ({reason}): set AWS_REGION, or AWS_ENDPOINT_URL"
        )),
        _ => None,
    }
}

/// By what came of a connection over SSH.
fn by_ssh(failure: &sftp::Failure, location: &str) -> Option<String> {
    use sftp::Failure;
    let place = url::Url::parse(location)
        .ok()
        .and_then(|url| sftp::Place::parse(&url).ok());
    let (login, host) = place.map(|place| place.target()).unwrap_or_default();
    Some(match failure {
        Failure::Program { .. } => format!(
            "cannot be reached: {failure}; install OpenSSH's client (Debian package openssh-client), or set COPAL_SSH"
        ),
        Failure::UnknownHost => format!(
            "cannot be trusted: the key of this host is not known. Compare what `ssh-keyscan {host} | ssh-keygen -lf -` prints with the \
             fingerprints that the server's operator tells you, and add its key with `ssh-keyscan {host} >> ~/.ssh/known_hosts`"
        ),
        Failure::ChangedHost => format!(
            "cannot be trusted: the key of this host is another than the one in ~/.ssh/known_hosts. Someone may be listening in between. Ask \
             the server's operator whether its key was changed, and only then remove the old one, which `ssh -o BatchMode=yes {login}` names"
        ),
        Failure::Refused(reason) => format!(
            "does not let the user in ({reason}): install a key with `ssh-copy-id`, load it into `ssh-agent` if it has a passphrase, and try \
             `ssh -o BatchMode=yes {login}`"
        ),
        Failure::NoSftp => {
            "does not offer SFTP: switch the subsystem `sftp` on in the server's configuration"
                .to_owned()
        }
        Failure::Unreachable(reason) => format!(
            "cannot be reached: {reason}; check the address and the network, and try `ssh -o BatchMode=yes {login}`"
        ),
        _ => return None,
    })
}

/// An error and what caused it, all the way down.
pub(crate) fn causes<'a>(
    error: &'a object_store::Error,
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next: Option<&'a (dyn StdError + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

fn find<'a, T: StdError + 'static>(causes: &[&'a (dyn StdError + 'static)]) -> Option<&'a T> {
    causes.iter().find_map(|cause| cause.downcast_ref())
}

/// The retries that `object_store` tells of.
fn retries(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once(", after ")?;
    rest.split_once(" retries")?.0.parse().ok()
}

/// The status of an answer that `object_store` tells of.
pub(crate) fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// The text of an element of XML.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim()).filter(|text| !text.is_empty())
}

/// Whether this is about the servers from which machines of a cloud get credentials.
fn is_metadata(text: &str) -> bool {
    METADATA
        .iter()
        .any(|host| text.contains(&format!("http://{host}/")))
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(300).collect()
}
