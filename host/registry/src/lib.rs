//! Brings releases of Copal plugins from folders, archives, servers and registries, and there.
//!
//! Every transport carries the same files, a [`Bundle`], so what one brings another takes on without loss:
//!
//! | address | what lies there |
//! |---|---|
//! | `/a/folder`, `file:///a/folder` | the files of a release |
//! | `x.tar` | a release archive: a plain tar of those files |
//! | `x.wasm` | a component alone, without a statement: unsigned |
//! | `…/publisher.json` | the documents of a publisher alone |
//! | `https://HOST/…` | each of these on a web server that can do no more than GET |
//! | `s3://…`, `gs://…`, `az://…` | each of these in an object store |
//! | `oci://HOST/REPOSITORY:TAG`, `oci://HOST/REPOSITORY@sha256:…` | an artifact of an OCI registry |
//!
//! Nothing that is fetched is believed here: `copal-trust` judges it. But all of it is bounded, and no name from a server or an
//! archive ever becomes a path.

mod archive;
mod error;
mod folder;
mod gather;
mod objects;
mod oci;
mod place;
mod probe;
mod source;
mod web;

pub use copal_trust::Bundle;
pub use error::Error;
pub use source::{Destination, Published, Source, fetch, publish};
