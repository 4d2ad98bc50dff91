//! Plans and performs Copal's backups and restores.
