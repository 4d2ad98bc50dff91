//! `settings.ini`, the application's configuration.

use copal_sdk::{Failure, Tree};

/// Where it lies.
pub(crate) const SETTINGS: &str = "settings.ini";

/// No such file is larger.
const LIMIT: usize = 1 << 20;

/// What the plugin wants to know of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Which format the notes have: a newer application raises it, and an older one can't read them any more.
    pub(crate) format: u32,
}

impl Settings {
    /// Reads it; none where there is none.
    pub(crate) fn read(home: &dyn Tree) -> Result<Option<Self>, Failure> {
        if !home.exists(SETTINGS)? {
            return Ok(None);
        }
        Self::parse(&home.read_to_string(SETTINGS, LIMIT)?).map(Some)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let mut settings = text.lines().filter_map(|line| line.split_once('='));
        let format = settings.find(|(key, _)| key.trim() == "format");
        let format = format.and_then(|(_, value)| value.trim().parse().ok());
        format.map(|format| Self { format }).ok_or_else(|| {
            Failure::corrupt(
                "{{name}}.settings.format",
                "settings.ini does not say as a number which `format` the notes have",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_read_from_the_settings() {
        for (text, format) in [
            ("format = 3\n", Some(3)),
            ("; a comment\ntitle = a = b\nformat=12", Some(12)),
            ("", None),
            ("format = new\n", None),
            ("old format = 3\n", None),
        ] {
            let settings = Settings::parse(text).ok();
            assert_eq!(settings.map(|settings| settings.format), format, "{text:?}");
        }
    }
}
