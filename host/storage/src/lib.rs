//! Turns a URL into an object store for Copal.
//!
//! | address | service | settings |
//! |---|---|---|
//! | `/a/path`, `a/path`, `file:///a/path` | a local directory | none |
//! | `memory:` | this process's memory, empty at first; for tests | none |
//! | `s3://BUCKET/PREFIX`, `s3:https://HOST/BUCKET/PREFIX` | S3 and what speaks like it | `AWS_*` |
//! | `b2://BUCKET/PREFIX` | Backblaze B2, by its interface of S3 | `B2_*` |
//! | `gs://BUCKET/PREFIX` | Google Cloud Storage | `GOOGLE_*` |
//! | `az://CONTAINER/PREFIX` | Azure Blob Storage | `AZURE_*` |
//! | `sftp://USER@HOST:PORT/PATH` | a directory on another host, over OpenSSH's `ssh` | its own, and `COPAL_SSH` |
//! | `https://HOST/PATH` | WebDAV | name and password in the address |

mod b2;
mod diagnosis;
mod error;
mod interruptible;
mod limit;
mod location;
mod options;
mod private;
mod pulse;
mod retry;
mod services;
mod sftp;
mod store;
mod transport;
mod unfinished;
mod walk;
mod watched;
mod webdav;

pub use error::Error;
pub use object_store;
pub use options::Options;
pub use services::is_known;
pub use store::{Store, open, open_with};
pub use unfinished::Unfinished;
