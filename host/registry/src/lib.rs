//! Brings releases of Copal plugins from folders, archives, servers and registries, and there.
