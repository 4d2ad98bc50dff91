//! What can go wrong with a storage service, in words for people.

/// A failure of a storage service or of the address that should lead to one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one that Copal understands.
    #[error("{location}: {reason}")]
    Location {
        /// The address, without credentials.
        location: String,
        /// What is wrong with it and what to write instead.
        reason: String,
    },
}
