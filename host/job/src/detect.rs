//! Asking a plugin whether a directory holds its application.

use std::path::Path;
use std::sync::Arc;

use copal_sandbox::types::Detection;
use copal_sandbox::{Directory, Grants, Plugin};

use crate::context::Context;
use crate::error::Error;
use crate::probe::GrantedProbe;

/// What the plugin recognises in the directory; none where it recognises nothing. No probe is granted.
pub fn detect(plugin: &Plugin, path: &Path, context: &Context) -> Result<Option<Detection>, Error> {
    let directory = Directory::open("detect", path).map_err(copal_sandbox::Error::Guest)?;
    let probe = GrantedProbe::new(Grants::default(), &[], context.cancel.clone());
    Ok(plugin.detect(Arc::new(directory), Arc::new(probe))?)
}
