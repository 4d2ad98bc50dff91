//! The restic repository format, version 2, over an object store.

pub mod archiver;
mod backend;
pub mod checker;
pub mod chunker;
pub mod comparer;
pub mod copy;
mod error;
pub mod forget;
pub mod format;
mod id;
mod identity;
mod index;
mod inspect;
mod keys;
mod lock;
mod metadata;
mod parallel;
pub mod pass;
mod password;
pub mod progress;
mod reader;
mod repository;
pub mod restorer;
pub mod select;
pub mod walk;
mod writer;

pub use error::{Error, ErrorKind};
pub use id::*;
pub use identity::Identity;
pub use index::Location;
pub use inspect::Document;
pub use keys::{KeyChange, KeyInfo, KeyOptions};
pub use lock::{LockGuard, LockMode};
pub use password::Password;
pub use repository::{InitOptions, ReadableSnapshots, Repository};
pub use writer::{BlobWriter, Stored, WriteSummary, WriterOptions};
