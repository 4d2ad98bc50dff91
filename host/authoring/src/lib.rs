//! Starts and builds Copal plugins: templates, toolchains, components.
