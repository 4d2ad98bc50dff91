//! Holds Copal plugins to their contract: the conformance suite, and the cases of their authors.
