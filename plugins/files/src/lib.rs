//! Copal plugin for any directory.
