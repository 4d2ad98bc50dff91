//! Recognises the application by its files.

use copal_sdk::{Detection, Failure, Kind, Tree};

use crate::HOME;
use crate::settings::{SETTINGS, Settings};

pub(crate) fn detect(root: &dyn Tree) -> Result<Option<Detection>, Failure> {
    let notes = root.stat("notes")?;
    if notes.is_none_or(|notes| notes.kind != Kind::Directory) {
        return Ok(None);
    }
    // Settings that say no format are another application's.
    let Ok(Some(settings)) = Settings::read(root) else {
        return Ok(None);
    };
    Ok(Some(
        Detection::new("{{name}}", HOME, 80)
            .because("there is a folder notes")
            .because(format!("{SETTINGS} says format {}", settings.format)),
    ))
}
