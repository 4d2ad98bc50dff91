//! The plugins that the program carries, and those named by a path.

use std::borrow::Cow;
use std::path::Path;

use copal_sandbox::{Engine, MAX_COMPONENT, Plugin};

use crate::failure::Failure;

include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// The largest component that is read from a path.
const LIMIT: u64 = MAX_COMPONENT as u64;

/// The names and components that come with Copal.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    PLUGINS.iter().copied()
}

/// Whether a plugin of that name comes with Copal.
pub(crate) fn is_name(plugin: &str) -> bool {
    let name = plugin.strip_prefix("copal/").unwrap_or(plugin);
    all().any(|(bundled, _)| bundled == name)
}

/// The plugin of that name (`jpom` or `copal/jpom`) or at that path.
pub(crate) fn load(engine: &Engine, plugin: &str) -> Result<Plugin, Failure> {
    Ok(engine.load(&component(plugin)?)?)
}

/// The component of that name or at that path, of which nothing has been looked at.
pub(crate) fn component(plugin: &str) -> Result<Cow<'static, [u8]>, Failure> {
    let name = plugin.strip_prefix("copal/").unwrap_or(plugin);
    if let Some((_, component)) = all().find(|(bundled, _)| *bundled == name) {
        return Ok(component.into());
    }
    let path = Path::new(plugin);
    if !path.is_file() {
        let names: Vec<_> = all().map(|(name, _)| name).collect();
        let message = format!(
            "there is no plugin `{plugin}`: Copal brings {}, and no file has this path",
            names.join(", ")
        );
        return Err(
            Failure::usage("unknown-plugin", message).advise("`copal plugin list` describes them.")
        );
    }
    let unreadable = |problem: String| {
        Failure::usage(
            "plugin-invalid",
            format!("can't read the plugin {plugin}: {problem}"),
        )
    };
    let size = path
        .metadata()
        .map_err(|e| unreadable(e.to_string()))?
        .len();
    if size > LIMIT {
        return Err(unreadable(format!(
            "it has {size} bytes, and a component has at most {LIMIT}"
        )));
    }
    let component = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    Ok(component.into())
}
