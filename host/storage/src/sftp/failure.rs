//! What can go wrong between here and a server of SFTP.

use super::protocol::{NO_SUCH_FILE, PERMISSION_DENIED};

/// Why something failed, and how often it was tried.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub(crate) struct Error {
    pub(crate) failure: Failure,
    pub(crate) attempts: u32,
}

/// What can go wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The program that makes the connection can't be run.
    #[error("the program `{program}` cannot be run: {reason}")]
    Program { program: String, reason: String },
    /// The host's key is in no file of known hosts.
    #[error("the key of this host is not known")]
    UnknownHost,
    /// The host's key is another than the known one.
    #[error("the key of this host is another than the known one")]
    ChangedHost,
    /// The server does not let the user in.
    #[error("{0}")]
    Refused(String),
    /// There is a server, but it offers no SFTP.
    #[error("this server does not offer SFTP")]
    NoSftp,
    /// No connection came about.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Lost(String),
    /// The server answered that it can't.
    #[error("the server says `{message}`")]
    Status { code: u32, message: String },
    /// A file ended before its end.
    #[error("the file is shorter than the server said")]
    Short,
    /// The server answered with something strange.
    #[error("the server's answer is not understood: {0}")]
    Strange(String),
}

impl Failure {
    /// What the program `ssh` said before it ended without a connection.
    pub(crate) fn of_ssh(said: &str) -> Self {
        let has = |text: &str| said.contains(text);
        // The last line says what it came to; those before it may be the server's greeting.
        let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        let last = lines
            .next_back()
            .unwrap_or("it ended without a word")
            .to_owned();
        if has("HOST IDENTIFICATION HAS CHANGED") {
            Self::ChangedHost
        } else if has("Host key verification failed") || has("host key is known for") {
            Self::UnknownHost
        } else if has("Permission denied (") || has("Too many authentication failures") {
            Self::Refused(last)
        } else if has("subsystem request failed") {
            Self::NoSftp
        } else {
            Self::Unreachable(last)
        }
    }

    /// Whether another connection may do better.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Lost(_))
    }

    /// Whether there is no such file.
    pub(crate) fn is_not_found(&self) -> bool {
        self.has_code(NO_SUCH_FILE)
    }

    pub(crate) fn has_code(&self, wanted: u32) -> bool {
        matches!(self, Self::Status { code, .. } if *code == wanted)
    }
}

impl Error {
    /// As every store says it.
    pub(crate) fn about(self, path: &str) -> object_store::Error {
        let path = path.to_owned();
        let code = match &self.failure {
            Failure::Status { code, .. } => Some(*code),
            _ => None,
        };
        let source = Box::new(self);
        match code {
            Some(NO_SUCH_FILE) => object_store::Error::NotFound { path, source },
            Some(PERMISSION_DENIED) => object_store::Error::PermissionDenied { path, source },
            _ => object_store::Error::Generic {
                store: "SFTP",
                source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_is_understood() {
        for (said, kind) in [
            (
                "Welcome!\nNo ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                "UnknownHost",
            ),
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.\n",
                "ChangedHost",
            ),
            ("me@h: Permission denied (publickey).\n", "Refused"),
            ("subsystem request failed on channel 0\n", "NoSftp"),
            (
                "ssh: connect to host h port 22: Connection refused\n",
                "Unreachable(\"ssh: connect to host h port 22: Connection refused\")",
            ),
            ("", "Unreachable(\"it ended without a word\")"),
        ] {
            let failure = format!("{:?}", Failure::of_ssh(said));
            assert!(failure.starts_with(kind), "{said}: {failure}");
        }
    }
}
