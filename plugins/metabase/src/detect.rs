//! Recognises the folders of a Metabase by their files.

use copal_sdk::{Detection, Failure, Tree};

use crate::config::Config;
use crate::layout::{DATA, Database, PLUGINS, is_bundled};

pub(crate) fn detect(tree: &dyn Tree) -> Result<Option<Detection>, Failure> {
    if let Some(database) = Database::find(&Config::default(), tree)?
        && let Ok(header) = &database.header
    {
        let found = Detection::new("Metabase", DATA, 90);
        return Ok(Some(found.because(format!(
            "{} is an H2 database of format {}",
            database.file(),
            header.format
        ))));
    }
    let drivers = tree.list("")?;
    let driver = drivers.iter().find(|entry| is_bundled(entry.name()));
    Ok(driver.map(|entry| {
        Detection::new("Metabase", PLUGINS, 70).because(format!(
            "{} is a driver that comes with Metabase",
            entry.name()
        ))
    }))
}
