//! Turns a URL into an object store for Copal.
