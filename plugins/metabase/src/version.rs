//! Versions of Metabase.
//!
//! A release is `v0.MAJOR.MINOR` (open source) or `v1.MAJOR.MINOR` (enterprise); the ids of its database changes begin with `vMAJOR.`
//! since 0.42. A database that has seen a change of a newer major version can't be used by an older Metabase.

use copal_sdk::{Command, Probe, literal};

use crate::config::Config;

/// The major version in a release's name, such as 50 in `v0.50.3`, `1.50.3.2` or `50`.
pub(crate) fn major(release: &str) -> Option<u32> {
    let mut numbers = release
        .strip_prefix('v')
        .unwrap_or(release)
        .split(['.', '-'])
        .map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        0 | 1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

/// The release that a text names after `"tag":` or `:tag`, as `java -jar metabase.jar version` and the API print it.
pub(crate) fn tag(text: &str) -> Option<String> {
    let after = text.split("tag").skip(1);
    after
        .filter_map(|rest| {
            let value = rest.trim_start_matches(['"', ':', ',', ' ', '\'']);
            let end = value.find(|c: char| !c.is_ascii_alphanumeric() && !".-_".contains(c));
            let value = value.get(..end.unwrap_or(value.len()))?;
            (value.starts_with('v') && major(value).is_some()).then(|| value.to_owned())
        })
        .next()
}

/// The release of `jar`, asked of itself; else the configured one.
pub(crate) fn configured(config: &Config, probe: &dyn Probe) -> Option<String> {
    let asked = config.metabase().and_then(|(java, jar)| {
        let command = Command::new([literal(java).as_str(), "-jar", &literal(jar), "version"]);
        probe.run(&command.timeout(300)).ok()
    });
    let asked = asked.and_then(|output| tag(&output.text()));
    asked.or_else(|| config.version.clone())
}

/// The release of the Metabase that answers at `api_url`.
pub(crate) fn running(config: &Config, probe: &dyn Probe) -> Option<String> {
    let url = config.api_url.as_ref()?.trim_end_matches('/');
    let properties = literal(&format!("{url}/api/session/properties"));
    let command = Command::new(["curl", "-fsS", "--max-time", "20", &properties]);
    tag(&probe.run(&command).ok()?.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_major_version_is_found_in_every_spelling() {
        for (release, expected) in [
            ("v0.50.3", Some(50)),
            ("v1.50.3.2", Some(50)),
            ("0.49", Some(49)),
            ("v0.51.0-beta", Some(51)),
            ("52", Some(52)),
            ("v60.1", Some(60)),
            ("v0", None),
            ("newest", None),
            ("", None),
        ] {
            assert_eq!(major(release), expected, "{release}");
        }
    }

    #[test]
    fn a_release_is_read_from_what_metabase_prints() {
        let printed = "{:date \"2024-06-20\", :tag \"v0.50.3\", :hash \"x\"}";
        assert_eq!(tag(printed).as_deref(), Some("v0.50.3"));
        let properties = r#"{"tags":1,"version":{"date":"2024-06-20","tag":"v1.50.3","hash":"x"}}"#;
        assert_eq!(tag(properties).as_deref(), Some("v1.50.3"));
        assert_eq!(tag(r#"{"tag":"nightly"}"#), None);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "(tag)?[\":v0-9.é-]{0,30}(tag)?.{0,9}") {
            let _ = tag(&text);
            let _ = major(&text);
        }
    }
}
