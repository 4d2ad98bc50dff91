//! The plugins that the program carries.

include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// The names and components that come with Copal.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    PLUGINS.iter().copied()
}

/// The component of that name (`jpom` or `copal/jpom`).
pub(crate) fn find(plugin: &str) -> Option<&'static [u8]> {
    let name = plugin.strip_prefix("copal/").unwrap_or(plugin);
    let mut found = all().filter(|(bundled, _)| *bundled == name);
    found.next().map(|(_, component)| component)
}
