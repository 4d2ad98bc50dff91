//! Copal plugin for Jpom.
