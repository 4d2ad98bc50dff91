//! End-to-end tests of Copal.
