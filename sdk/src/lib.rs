//! Write plugins for Copal: back up, restore and migrate one application.
