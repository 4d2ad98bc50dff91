//! Releases in OCI registries.
//!
//! The component is an artifact as the CNCF's "Wasm OCI Artifact layout" has it, which other tools read too. The statement, its
//! signatures and the publisher's documents are a second artifact that refers to the first (`subject`). It is found by the registry's
//! referrers API or, where a registry has none, by the tag that the distribution specification 1.1 puts in its place.
//!
//! What is read is read by requests of our own, since `oci-client` takes answers of any size; contents are uploaded by that.

mod artifact;
mod credentials;
mod pull;
mod push;
mod referrers;
mod session;

pub(crate) use pull::fetch;
pub(crate) use push::publish;
