//! What can go wrong with a plugin, each once, with advice for the operator and for the plugin's author.

use std::time::Duration;

use crate::types::Failure;

/// Why a plugin can't be loaded, or a call of it gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It imports something that no plugin is given.
    #[error("the plugin imports `{import}`, which Copal gives to no plugin")]
    Denied {
        /// The import as the component spells it.
        import: String,
    },
    /// It asks for something that it does not declare. No grant allows that.
    #[error(
        "the plugin {plugin} asks for `{need}`, which its capabilities do not cover; its author must declare `{need}` or a pattern that covers it"
    )]
    Undeclared {
        /// The plugin's name.
        plugin: String,
        /// The grant that would cover what it asks for.
        need: String,
    },
    /// It computed for longer than one call may.
    #[error("the plugin's `{call}` did not return within {} s", limit.as_secs_f32())]
    Deadline {
        /// The function of the contract.
        call: &'static str,
        /// How long it may take; time that the host takes for it is not counted.
        limit: Duration,
    },
    /// It had the host look and probe for longer than one call may.
    #[error("the plugin's `{call}` had Copal read and probe for more than {} s", limit.as_secs_f32())]
    Looking {
        /// The function of the contract.
        call: &'static str,
        /// How long the host works for one call.
        limit: Duration,
    },
    /// It asked for more memory than it may have.
    #[error("the plugin's `{call}` needs more than its {} MiB of memory", limit >> 20)]
    Memory {
        /// The function of the contract.
        call: &'static str,
        /// Bytes that one instance may have.
        limit: usize,
    },
    /// It crashed.
    #[error("the plugin crashed in `{call}`: {message}")]
    Trap {
        /// The function of the contract.
        call: &'static str,
        /// The panic's message where the plugin logged one, and what the sandbox saw.
        message: String,
    },
    /// It answered that it could not do its work.
    #[error(transparent)]
    Guest(#[from] Failure),
    /// It answered in a way that the contract does not allow.
    #[error("the plugin's `{call}` broke the contract: {rule}")]
    Contract {
        /// The function of the contract.
        call: &'static str,
        /// What it did, and what the contract says.
        rule: String,
    },
    /// It is made for another version of the contract, or not for Copal.
    #[error("the component is not a plugin for this Copal: {0}")]
    Incompatible(String),
    /// It is not a WebAssembly component.
    #[error("the plugin can't be loaded: {0}")]
    Invalid(String),
    /// The sandbox itself failed, or was used wrongly by the host.
    #[error("the sandbox failed: {0}")]
    Host(String),
}

impl Error {
    /// A stable word for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "plugin-denied",
            Self::Undeclared { .. } => "plugin-undeclared",
            Self::Deadline { .. } | Self::Looking { .. } => "plugin-deadline",
            Self::Memory { .. } => "plugin-memory",
            Self::Trap { .. } => "plugin-trap",
            Self::Guest(_) => "plugin-failure",
            Self::Contract { .. } => "plugin-contract",
            Self::Incompatible(_) => "plugin-incompatible",
            Self::Invalid(_) => "plugin-invalid",
            Self::Host(_) => "sandbox",
        }
    }

    /// What the operator can do about it; none where the message says it all.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Denied { .. } => Some(
                "Use a build of the plugin that does without this import, or ask its publisher for one.",
            ),
            Self::Undeclared { .. } => {
                Some("Nothing that you grant allows it. Report it to the plugin's publisher.")
            }
            Self::Deadline { .. } | Self::Looking { .. } => Some(
                "Try again on a machine that is less busy. If it happens again, report it to the plugin's publisher.",
            ),
            Self::Memory { .. } => Some(
                "Report it to the plugin's publisher, with the size of the data that it worked on.",
            ),
            Self::Trap { .. } | Self::Contract { .. } => Some(
                "This is a fault of the plugin. Report it to its publisher, with the log that `COPAL_LOG=plugin=debug` gives.",
            ),
            Self::Guest(failure) => failure.remedy.as_deref(),
            Self::Incompatible(_) => Some(
                "Get a release of the plugin that is made for this version of Copal, or another version of Copal.",
            ),
            Self::Invalid(_) => {
                Some("Get the file again; it may be damaged or not a plugin at all.")
            }
            Self::Host(_) => None,
        }
    }

    /// What the plugin's author can do about it; none where it is not the plugin's fault.
    pub fn author_advice(&self) -> Option<&'static str> {
        match self {
            Self::Denied { .. } => Some(
                "Build for wasm32-unknown-unknown with copal-sdk, or remove what imports it. Besides Copal's own interfaces a plugin may import WASI 0.2's cli, clocks, filesystem, io, random and sockets.",
            ),
            Self::Undeclared { .. } => Some(
                "Declare every command of a step, stream or safeguard as `run:`, every one of a probe as `probe:`, and what requests and writes need, in `describe`.",
            ),
            Self::Deadline { .. } | Self::Looking { .. } => Some(
                "Do less in one call: read only the part of a file that is needed, and leave work to the pass.",
            ),
            Self::Memory { .. } => Some(
                "Work on files in pieces instead of reading them whole, and let a filter hold only what it must.",
            ),
            Self::Trap { .. } => Some(
                "Return a failure instead of panicking. copal-sdk's panic hook logs the place.",
            ),
            Self::Guest(_) => None,
            Self::Contract { .. } => Some(
                "Read the documentation of the function in the WIT of the contract; its limits stand there.",
            ),
            Self::Incompatible(_) => {
                Some("Rebuild against the WIT of the Copal release that the plugin is for.")
            }
            Self::Invalid(_) => Some(
                "Make a component of the core module, with `wasm-tools component new` or by building with copal-sdk.",
            ),
            Self::Host(_) => None,
        }
    }
}
