//! Tar archives as they stream by: what they hold, whether they are whole, and the same archive with other owners, modes or contents.
//!
//! A [`Reader`] takes byte chunks cut anywhere and tells what they are: a [`Member`]'s headers, its content, what lies between. It knows ustar,
//! GNU's long names, sparse files and binary numbers, and pax headers, and keeps nothing but one member's headers (1 MiB at most). A
//! [`Rewriter`] is a [`Filter`](crate::Filter) that changes headers and contents on the way and leaves every other byte as it is. [`Gunzip`] and
//! [`Gzip`] put either inside a compressed file.
//!
//! ```
//! use copal_sdk::tar::{Change, Rewriter, Treatment};
//! use copal_sdk::{Failure, Filter};
//!
//! # fn archive() -> Vec<u8> { vec![0; 1024] }
//! let owner = Change { uid: Some(998), gid: Some(998), ..Change::default() };
//! let mut filter = Rewriter::new(|_: &_| Ok(Treatment { change: owner.clone(), content: None }));
//! let mut out = Vec::new();
//! for chunk in archive().chunks(100) {
//!     filter.push(chunk, &mut out)?;
//! }
//! filter.finish(&mut out)?;
//! # assert_eq!(out.len(), 1024);
//! # Ok::<(), Failure>(())
//! ```
//!
//! Sources: POSIX.1-2017 `pax`, sections "ustar Interchange Format" and "pax Interchange Format"; GNU tar manual, "Basic Tar Format" and "GNU
//! Extensions to the Archive Format"; RFC 1952.

mod gzip;
mod header;
mod member;
mod pax;
mod reader;
mod rewriter;

pub use gzip::{Gunzip, Gzip};
pub use member::{Change, Kind, Member};
pub use reader::{Event, Reader};
pub use rewriter::{Rewriter, Treatment};

/// Everything in an archive begins at a multiple of this many bytes.
const BLOCK: usize = 512;

/// The bytes that fill up `length` to whole blocks: 0 to 511.
fn padding(length: u64) -> usize {
    (length.wrapping_neg() % BLOCK as u64) as usize
}

fn damaged(message: String) -> crate::Failure {
    crate::Failure::corrupt("sdk.tar.damaged", message)
}

#[cfg(test)]
mod tests;
