//! Plugins in JavaScript.

use std::path::Path;

use crate::build::{BuildOptions, Component};
use crate::{Error, Language, Result};

/// Makes a component of the project in a folder.
pub(crate) fn component(
    _directory: &Path,
    _options: &BuildOptions,
    _say: &dyn Fn(&str),
) -> Result<Component> {
    Err(Error::Language(Language::Javascript.as_str().to_owned()))
}
