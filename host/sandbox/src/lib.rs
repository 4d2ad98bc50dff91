//! Loads, grants, instantiates and calls Copal plugins.
