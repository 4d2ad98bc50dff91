//! Flyway's migrations in a folder, by their files' names.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use copal_sdk::{Failure, Tree};

use crate::history::{Flyway, Installed};

/// More folders within one another, and more files, than migrations have.
const DEEPEST: usize = 32;
const MOST: usize = 100_000;

/// A file that Flyway runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Migration {
    /// None for one that is repeatable.
    pub(crate) version: Option<Version>,
    pub(crate) description: String,
    pub(crate) script: String,
}

/// A version: numbers separated by dots, as they are compared.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// As Flyway writes it.
    pub(crate) text: String,
    /// Without leading zeros, and without zeros at the end.
    numbers: Vec<String>,
}

impl Version {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.replace('_', ".");
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.trim_start_matches('0').to_owned())
        };
        let mut numbers = text.split('.').map(number).collect::<Option<Vec<_>>>()?;
        while numbers.last().is_some_and(String::is_empty) {
            numbers.pop();
        }
        Some(Self { text, numbers })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // Longer numbers are greater, since none begins with a zero.
        let key = |version: &Self| -> Vec<(usize, String)> {
            version
                .numbers
                .iter()
                .map(|number| (number.len(), number.clone()))
                .collect()
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl Migration {
    /// Reads a name such as `V1_2__Add_users.sql` or `R__Views.sql`; none for what is no migration, which undo scripts are not either.
    fn parse(path: &str) -> Option<Self> {
        let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = name.strip_suffix(".sql")?;
        let (prefix, description) = stem.split_once("__")?;
        let version = match prefix.split_at_checked(1)? {
            ("V" | "B", version) => Some(Version::parse(version)?),
            ("R", "") => None,
            _ => return None,
        };
        Some(Self {
            version,
            description: description.replace('_', " "),
            script: path.to_owned(),
        })
    }
}

/// The migrations of some folders, or of all.
pub(crate) fn read(tree: &dyn Tree, locations: &[String]) -> Result<Vec<Migration>, Failure> {
    let mut found = Vec::new();
    let all = [String::new()];
    let locations = if locations.is_empty() {
        &all
    } else {
        locations
    };
    for location in locations {
        list(tree, location.trim_matches('/'), 0, &mut found)?;
    }
    Ok(found)
}

fn list(
    tree: &dyn Tree,
    folder: &str,
    depth: usize,
    found: &mut Vec<Migration>,
) -> Result<(), Failure> {
    for entry in tree.list(folder)? {
        if entry.is_directory() && depth < DEEPEST {
            list(tree, &entry.path, depth + 1, found)?;
        } else if !entry.is_directory() && found.len() < MOST {
            found.extend(Migration::parse(&entry.path));
        }
    }
    Ok(())
}

/// What a history and a folder have in common, and what not.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) applied: Vec<Migration>,
    pub(crate) pending: Vec<Migration>,
    /// What ran and has no file.
    pub(crate) unexpected: Vec<Installed>,
    /// Below the baseline, so Flyway never runs them.
    pub(crate) below_baseline: Vec<Migration>,
}

pub(crate) fn compare(migrations: Vec<Migration>, history: &Flyway) -> Compared {
    let mut versions: BTreeMap<Version, &Installed> = BTreeMap::new();
    let mut repeatable: BTreeMap<&str, &Installed> = BTreeMap::new();
    let mut baseline = None;
    let mut ordered: Vec<&Installed> = history.migrations.iter().collect();
    ordered.sort_by_key(|installed| installed.installed_rank);
    for installed in ordered {
        let version = installed.version.as_deref().and_then(Version::parse);
        let kind = installed.kind.as_str();
        match version {
            _ if kind == "SCHEMA" || !installed.success => {}
            version if kind == "BASELINE" => baseline = version,
            Some(version) if kind == "DELETE" || kind.starts_with("UNDO") => {
                versions.remove(&version);
            }
            Some(version) => {
                versions.insert(version, installed);
            }
            None if kind == "DELETE" => {
                repeatable.remove(installed.description.as_str());
            }
            None => {
                repeatable.insert(&installed.description, installed);
            }
        }
    }
    let mut compared = Compared::default();
    for migration in migrations {
        let applied = match &migration.version {
            Some(version) => versions.remove(version).is_some(),
            None => repeatable.remove(migration.description.as_str()).is_some(),
        };
        let below = migration.version.as_ref().is_some_and(|version| {
            baseline
                .as_ref()
                .is_some_and(|baseline| version <= baseline)
        });
        match (applied, below) {
            (true, _) => compared.applied.push(migration),
            (false, true) => compared.below_baseline.push(migration),
            (false, false) => compared.pending.push(migration),
        }
    }
    // What is written in Java has no file that could be seen.
    let left = versions.into_values().chain(repeatable.into_values());
    compared.unexpected = left
        .filter(|installed| !installed.kind.contains("JDBC"))
        .cloned()
        .collect();
    compared
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn installed(rank: i64, kind: &str, version: Option<&str>, description: &str) -> Installed {
        Installed {
            installed_rank: rank,
            version: version.map(str::to_owned),
            description: description.to_owned(),
            kind: kind.to_owned(),
            script: format!("{description}.sql"),
            success: true,
        }
    }

    fn files(names: &[&str]) -> Vec<Migration> {
        names
            .iter()
            .filter_map(|name| Migration::parse(name))
            .collect()
    }

    fn scripts(migrations: &[Migration]) -> Vec<&str> {
        migrations
            .iter()
            .map(|migration| migration.script.as_str())
            .collect()
    }

    #[test]
    fn names_of_files_are_versions_and_descriptions() {
        let found = files(&[
            "db/V1_2__Add_users.sql",
            "R__Views.sql",
            "U1__undo.sql",
            "V__x.sql",
            "V1.sql",
            "Va__x.sql",
            "V2__x.txt",
            "V2__x.sql.conf",
        ]);
        assert_eq!(scripts(&found), ["db/V1_2__Add_users.sql", "R__Views.sql"]);
        assert_eq!(found[0].version.as_ref().unwrap().text, "1.2");
        assert_eq!(found[0].description, "Add users");
        assert_eq!(found[1].version, None);
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let version = |text: &str| Version::parse(text).unwrap();
        assert!(version("1.10") > version("1.9"));
        assert!(version("2") > version("1.999"));
        assert!(version("20240101123456789012345") > version("20240101123456789012344"));
        assert_eq!(version("1.0"), version("01"));
        assert!(version("1.0.1") > version("1"));
    }

    #[test]
    fn applied_pending_unexpected_and_what_lies_below_the_baseline_are_told_apart() {
        let history = Flyway {
            schema: "public".to_owned(),
            table: "flyway_schema_history".to_owned(),
            migrations: vec![
                installed(1, "BASELINE", Some("2"), "base"),
                installed(2, "SQL", Some("3"), "three"),
                installed(3, "SQL", Some("4"), "four"),
                installed(4, "JDBC", Some("5"), "java"),
                installed(5, "SQL", Some("6"), "six"),
                installed(6, "UNDO_SQL", Some("6"), "six"),
                installed(7, "SQL", None, "views"),
                installed(8, "SQL", None, "gone"),
            ],
        };
        let compared = compare(
            files(&[
                "V1__one.sql",
                "V3.0__three.sql",
                "V6__six.sql",
                "V7__seven.sql",
                "R__views.sql",
                "R__new.sql",
            ]),
            &history,
        );
        assert_eq!(
            scripts(&compared.applied),
            ["V3.0__three.sql", "R__views.sql"]
        );
        assert_eq!(
            scripts(&compared.pending),
            ["V6__six.sql", "V7__seven.sql", "R__new.sql"]
        );
        assert_eq!(scripts(&compared.below_baseline), ["V1__one.sql"]);
        let unexpected: Vec<&str> = compared
            .unexpected
            .iter()
            .map(|installed| installed.description.as_str())
            .collect();
        assert_eq!(unexpected, ["four", "gone"]);
    }

    proptest! {
        #[test]
        fn hostile_names_never_panic(name in "\\PC{0,20}") {
            let _ = Migration::parse(&name);
            let _ = Migration::parse(&format!("V{name}.sql"));
        }

        #[test]
        fn the_order_of_versions_is_that_of_their_numbers(one in prop::collection::vec(0_u32..300, 1..4), other in prop::collection::vec(0_u32..300, 1..4)) {
            let text = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join("_");
            let trimmed = |numbers: &[u32]| {
                let end = numbers.iter().rposition(|number| *number != 0).map_or(0, |at| at + 1);
                numbers[..end].to_vec()
            };
            let order = Version::parse(&text(&one)).unwrap().cmp(&Version::parse(&text(&other)).unwrap());
            prop_assert_eq!(order, trimmed(&one).cmp(&trimmed(&other)));
        }
    }
}
