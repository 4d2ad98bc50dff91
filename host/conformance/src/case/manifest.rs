//! `case.toml` and `roots/ROOT.toml`.

use std::collections::BTreeMap;

use copal_sandbox::Grant;
use copal_sandbox::types::{Intent, Kind, Owner, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::memory::{EPOCH, MemoryTree, entry};

/// How a case is asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Manifest {
    pub(super) about: String,
    pub(super) config: Map<String, Value>,
    now: Option<toml::value::Datetime>,
    pub(super) grants: Vec<Grant>,
    pub(super) fails: Option<Call>,
    pub(super) restore: Option<Restore>,
}

/// How what was saved is restored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Restore {
    pub(super) intent: Option<Intent>,
    pub(super) config: Option<Map<String, Value>>,
    pub(super) rehearsal: bool,
    pub(super) facts: Map<String, Value>,
    pub(super) verify: bool,
    pub(super) captures: BTreeMap<String, String>,
}

/// A call that may be said to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Call {
    Detect,
    PlanBackup,
    BackupPass,
    PlanRestore,
    RestorePass,
    Verify,
}

impl Call {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::PlanBackup => "plan-backup",
            Self::BackupPass => "backup-pass",
            Self::PlanRestore => "plan-restore",
            Self::RestorePass => "restore-pass",
            Self::Verify => "verify",
        }
    }
}

impl Manifest {
    /// The time that plans are made at.
    pub(super) fn now(&self) -> Result<Timestamp, String> {
        self.now.as_ref().map_or(Ok(EPOCH), time)
    }
}

fn time(time: &toml::value::Datetime) -> Result<Timestamp, String> {
    let parsed: jiff::Timestamp = time
        .to_string()
        .parse()
        .map_err(|_| format!("`{time}` has no offset: write it as 2026-01-01T00:00:00Z"))?;
    let nanoseconds = parsed.subsec_nanosecond();
    Ok(Timestamp {
        seconds: parsed.as_second() - i64::from(nanoseconds < 0),
        nanoseconds: nanoseconds.rem_euclid(1_000_000_000).unsigned_abs(),
    })
}

/// What files can't hold, by path.
pub(super) type Amendments = BTreeMap<String, Amendment>;

/// What is other than the file says, or not a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Amendment {
    remove: bool,
    kind: Option<Kind>,
    content: Option<String>,
    target: Option<String>,
    mode: Option<u32>,
    owner: Option<Owner>,
    modified: Option<toml::value::Datetime>,
    size: Option<u64>,
}

/// Puts what the amendments say into the tree.
pub(super) fn amend(tree: &mut MemoryTree, amendments: &Amendments) -> Result<(), String> {
    for (path, amendment) in amendments {
        amendment
            .apply(tree, path)
            .map_err(|problem| format!("`{path}`: {problem}"))?;
    }
    Ok(())
}

impl Amendment {
    fn apply(&self, tree: &mut MemoryTree, path: &str) -> Result<(), String> {
        let fits = path.is_empty()
            || path.split('/').all(|name| {
                !matches!(name, "" | "." | "..") && copal_sandbox::name::unescape(name).is_ok()
            });
        if !fits {
            return Err("it is not a path as the contract spells it".to_owned());
        }
        if self.remove {
            tree.remove(path);
            return Ok(());
        }
        let there = tree.get(path);
        let there = there.map(|(entry, content)| (entry.clone(), content.clone()));
        let kind = self.kind.or(there.as_ref().map(|(entry, _)| entry.kind));
        let kind = match (kind, &self.content) {
            (Some(kind), _) => kind,
            (None, Some(_)) => Kind::File,
            (None, None) => {
                return Err("nothing lies there: give a `kind`, or a `content`".to_owned());
            }
        };
        let (mut entry, mut content) = there
            .filter(|(entry, _)| entry.kind == kind)
            .unwrap_or_else(|| (entry(path, kind), [].into()));
        if let Some(text) = &self.content {
            content = text.as_bytes().into();
            entry.size = text.len() as u64;
        }
        if let Some(target) = &self.target {
            entry.link_target = Some(target.clone());
        }
        if kind == Kind::Symlink && entry.link_target.is_none() {
            return Err("a symlink needs a `target`".to_owned());
        }
        entry.mode = self.mode.unwrap_or(entry.mode);
        entry.owner = self.owner.clone().unwrap_or(entry.owner);
        entry.size = self.size.unwrap_or(entry.size);
        if let Some(modified) = &self.modified {
            entry.modified = time(modified)?;
        }
        tree.put(entry, content);
        Ok(())
    }
}
