//! Turns a URL into an object store for Copal.
//!
//! | address | service | settings |
//! |---|---|---|
//! | `/a/path`, `a/path`, `file:///a/path` | a local directory | none |
//! | `memory:` | this process's memory, empty at first; for tests | none |
//! | `s3://BUCKET/PREFIX`, `s3:https://HOST/BUCKET/PREFIX` | S3 and what speaks like it | `AWS_*` |
//! | `gs://BUCKET/PREFIX` | Google Cloud Storage | `GOOGLE_*` |
//! | `az://CONTAINER/PREFIX` | Azure Blob Storage | `AZURE_*` |
//! | `https://HOST/PATH` | WebDAV | name and password in the address |

mod error;
mod location;
mod store;

pub use error::Error;
pub use object_store;
pub use store::{Store, is_known, open, open_with};
