//! Releases of H2, and which store format each works with.

use std::fmt;

/// A release of H2, such as 2.1.214.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32, pub u32);

impl Release {
    /// The release that a jar's file name tells, such as `…/h2-2.1.214.jar`.
    pub fn of_jar(path: &str) -> Option<Self> {
        let name = path.rsplit(['/', '\\']).next()?;
        let version = name.strip_prefix("h2-")?.strip_suffix(".jar")?;
        let mut numbers = version.split('.').map(|number| number.parse().ok());
        let release = Self(numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(release)
    }

    /// The store format that it writes and, since no release opens another's files, the only one that it reads.
    pub fn format(self) -> u32 {
        match self {
            Self(..=1, ..) => 1,
            Self(2, ..=1, _) => 2,
            _ => 3,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Which releases work with a store format, in words for a message.
pub fn releases_of(format: u32) -> &'static str {
    match format {
        1 => "H2 1.4",
        2 => "H2 2.0 or 2.1",
        3 => "H2 2.2 or later",
        _ => "an unknown release of H2",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_release_opens_its_own_format_alone() {
        for (jar, format) in [
            ("/opt/h2-1.4.200.jar", 1),
            ("h2-2.0.206.jar", 2),
            ("lib/h2-2.1.214.jar", 2),
            ("h2-2.2.224.jar", 3),
        ] {
            assert_eq!(Release::of_jar(jar).map(Release::format), Some(format));
        }
        for jar in [
            "h2.jar",
            "/usr/share/java/h2.jar",
            "h2-2.jar",
            "h2-2.1.214.1.jar",
        ] {
            assert_eq!(Release::of_jar(jar), None, "{jar}");
        }
    }

    proptest! {
        #[test]
        fn hostile_names_never_panic(name in "(h2-)?.{0,40}(.jar)?") {
            let _ = Release::of_jar(&name);
        }
    }
}
