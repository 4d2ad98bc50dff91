//! H2 databases: what the header of a database file says, which release of H2 opens which format, where a JDBC URL leads, a filter that looks at
//! the header while a file passes, and H2's own tools as commands.

mod guard;
mod header;
mod release;
mod tools;
mod url;

pub use guard::HeaderGuard;
pub use header::{Error, FILE_SUFFIX, HEADER_LENGTH, Header, fletcher32};
pub use release::{Release, releases_of};
pub use tools::{Database, OUTSIDE, Tools};
pub use url::{Place, Url};
