//! Recognises a Jpom by its files.

use copal_sdk::{Detection, Failure, Tree};

use crate::layout::{DATA, HOME};
use crate::survey::Survey;

/// Whether a directory holds a Jpom. The directory's root is not known yet: it is taken for a whole installation, and for the data
/// folder alone where nothing else of an installation lies beside the database.
pub(crate) fn detect(tree: &dyn Tree) -> Result<Option<Detection>, Failure> {
    let survey = Survey::of(&AsHome(tree), None, &[&tree.location()])?;
    let Some(layout) = &survey.layout else {
        return Ok(None);
    };
    let mut because = Vec::new();
    let mut confidence = 0;
    if let Some(install) = survey
        .install
        .as_ref()
        .filter(|install| install.content.is_ok())
    {
        because.push(format!("{} holds an installation's id", install.path));
        confidence += 40;
    }
    if let Some(database) = &survey.database
        && let Ok(header) = &database.header
    {
        because.push(format!(
            "{} is an H2 database of format {}",
            database.file(),
            header.format
        ));
        confidence += 35;
    }
    if let Some(file) = survey
        .settings_file
        .as_deref()
        .and_then(|file| file.strip_prefix("home/"))
    {
        because.push(format!("{file} is there"));
        confidence += 20;
    }
    if let Some(version) = &survey.version {
        because.push(format!("lib holds the server's jar of version {version}"));
        confidence += 5;
    }
    // A lone application.yml and a folder named data are any Spring application's.
    if survey.id().is_none() && survey.database.is_none() {
        return Ok(None);
    }
    let mut beside = false;
    for folder in ["conf", "lib", "bin", "logs"] {
        beside |= tree.exists(folder)?;
    }
    let root = if layout.base.is_empty() && !beside {
        DATA
    } else {
        HOME
    };
    Ok(Some(Detection {
        version: survey.version,
        because,
        ..Detection::new("Jpom", root, confidence)
    }))
}

/// A tree under the name `home`, for a directory whose root is not known.
struct AsHome<'a>(&'a dyn Tree);

impl Tree for AsHome<'_> {
    fn name(&self) -> String {
        HOME.to_owned()
    }

    fn location(&self) -> String {
        self.0.location()
    }

    fn stat(&self, path: &str) -> Result<Option<copal_sdk::Entry>, Failure> {
        self.0.stat(path)
    }

    fn list(&self, path: &str) -> Result<Vec<copal_sdk::Entry>, Failure> {
        self.0.list(path)
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        self.0.read(path, offset, length)
    }
}
