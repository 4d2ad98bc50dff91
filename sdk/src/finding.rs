//! Findings and failures: what a plugin tells people.

use std::fmt;

pub use crate::bindings::copal::plugin::types::{FailureKind, Finding, Severity};

impl Finding {
    fn new(severity: Severity, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity,
            code: code.into(),
            message: message.into(),
            remedy: None,
            path: None,
        }
    }

    /// Something worth knowing; nothing to do.
    pub fn info(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, code, message)
    }

    /// The work goes on, but a person should look.
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// The host must not carry the plan out.
    ///
    /// ```
    /// use copal_sdk::{Finding, Severity};
    ///
    /// let finding = Finding::error("wiki.running", "The wiki runs, and its database would be copied while it changes.")
    ///     .at("home/data")
    ///     .remedy("Set `unit`, so that it is stopped meanwhile.");
    /// assert_eq!(finding.severity, Severity::Error);
    /// ```
    pub fn error(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Says what it is about: `ROOT` or `ROOT/PATH`.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}

/// Why a call could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What sort of thing went wrong.
    pub kind: FailureKind,
    /// A stable code: lower-case words joined by dots, such as `jpom.h2.header`.
    pub code: String,
    /// What went wrong, and where. Never a secret.
    pub message: String,
    /// What the reader can do about it.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure without a remedy.
    pub fn new(kind: FailureKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            remedy: None,
        }
    }

    /// The configuration is not what the plugin asks for.
    pub fn invalid_config(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::InvalidConfig, code, message)
    }

    /// The application, version or layout is one that this plugin can't work on.
    pub fn unsupported(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unsupported, code, message)
    }

    /// Data was read and is not what it must be.
    pub fn corrupt(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Corrupt, code, message)
    }

    /// Something that must be there is not.
    pub fn missing(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Missing, code, message)
    }

    /// A fault of the plugin itself.
    pub fn internal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, code, message)
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
