//! Who signed a Copal plugin, what was approved of it, and what that allows.
//!
//! A release comes as a [`Bundle`], of which nothing is believed. [`Store::introduce`] and [`Store::trust`] make a publisher known; [`Store::check`] holds
//! a release against all rules and gives a [`Candidate`]; the component itself must [confirm](Candidate::confirm) what is said of it; only a [`Confirmed`]
//! candidate can be [installed](Store::install), under the capability hash that the operator approved.
//!
//! Nothing here reads the network or WebAssembly, and nothing prints. The time is always handed in.

mod bundle;
mod candidate;
mod capability;
mod document;
pub mod key;
mod name;
mod policy;
mod publisher;
mod refusal;
mod release;
mod signature;
mod signed;
mod statement;
mod store;
mod text;

pub use bundle::{
    Bundle, BundleError, COMPONENT, MAX_SIGNATURES, MAX_VERSIONS, PUBLISHER, STATEMENT,
};
pub use candidate::{Asked, Candidate, Change, Confirmed, Terms};
pub use capability::{Capability, Described, capability_hash, capability_lines};
pub use document::Format;
pub use name::{PluginName, RESERVED};
pub use publisher::{MAX_KEYS, PublisherDocument, RevokedRelease, fingerprint, to_seconds};
pub use refusal::Refusal;
pub use release::{Verified, read_documents, signed_document, verify};
pub use statement::Statement;
pub use store::Store;
pub use store::approvals::Approval;
pub use store::install::{Installation, Removal};
pub use store::installed::Installed;
pub use store::publishers::{Introduction, Publisher};
pub use store::revocation::Revocation;
pub use text::{is_visible, sha256};
