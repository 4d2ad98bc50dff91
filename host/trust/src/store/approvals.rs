//! `approvals.json`: what the operator allowed a plugin beyond one run.

use serde::{Deserialize, Serialize};

use super::{Store, files};
use crate::capability::twice;
use crate::document::Format;
use crate::name::PluginName;
use crate::refusal::Refusal;
use crate::text::{is_sha256, line, shown};

/// Bytes of the file.
const MAX_FILE: usize = 16 << 20;
/// Grants of one approval.
const MAX_GRANTS: usize = 1000;
/// Bytes of one grant.
const MAX_GRANT: usize = 4096;

/// What the operator allowed one component of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The plugin.
    pub name: PluginName,
    /// The SHA-256 of the component. Another component of the same name was allowed nothing.
    pub digest: String,
    /// The capabilities that it declared when it was allowed.
    pub capability_hash: String,
    /// The grants, sorted, such as `run:docker stop x`.
    pub grants: Vec<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approvals {
    format: Format,
    approvals: Vec<Approval>,
}

impl Approvals {
    fn of(
        &mut self,
        name: &PluginName,
        digest: &str,
        capability_hash: &str,
    ) -> Option<&mut Approval> {
        self.approvals.iter_mut().find(|approval| {
            approval.name == *name
                && approval.digest == digest
                && approval.capability_hash == capability_hash
        })
    }

    /// Adds grants, sorted and each once.
    fn add(
        &mut self,
        name: &PluginName,
        digest: &str,
        capability_hash: &str,
        grants: &[String],
    ) -> Result<(), Refusal> {
        let mut approval = Approval {
            name: name.clone(),
            digest: digest.to_owned(),
            capability_hash: capability_hash.to_owned(),
            grants: grants.to_vec(),
        };
        let known = self.of(name, digest, capability_hash);
        if let Some(known) = &known {
            approval.grants.extend(known.grants.iter().cloned());
        }
        approval.grants.sort_unstable();
        approval.grants.dedup();
        approval.validate().map_err(Refusal::Approval)?;
        match known {
            Some(known) => *known = approval,
            None if approval.grants.is_empty() => {}
            None => self.approvals.push(approval),
        }
        Ok(())
    }
}

impl Approval {
    fn validate(&self) -> Result<(), String> {
        if self.grants.len() > MAX_GRANTS {
            return Err(format!(
                "it has {} grants, at most {MAX_GRANTS} are allowed",
                self.grants.len()
            ));
        }
        for digest in [&self.digest, &self.capability_hash] {
            if !is_sha256(digest) {
                return Err(format!("`{}` is no SHA-256", shown(digest)));
            }
        }
        for grant in &self.grants {
            line("grant", grant, MAX_GRANT)?;
        }
        twice("grant", self.grants.iter().map(String::as_str))
    }
}

impl Store {
    /// All approvals, sorted by plugin.
    ///
    /// # Errors
    /// `approvals.json` can't be read.
    pub fn approvals(&self) -> Result<Vec<Approval>, Refusal> {
        let mut approvals = self.read_approvals()?.approvals;
        approvals.sort_by(|a, b| (&a.name, &a.digest).cmp(&(&b.name, &b.digest)));
        Ok(approvals)
    }

    /// The grants that this very component was allowed under these very capabilities.
    ///
    /// # Errors
    /// `approvals.json` can't be read.
    pub fn approved(
        &self,
        name: &PluginName,
        digest: &str,
        capability_hash: &str,
    ) -> Result<Vec<String>, Refusal> {
        let mut approvals = self.read_approvals()?;
        let of_it = approvals.of(name, digest, capability_hash);
        Ok(of_it
            .map(|approval| approval.grants.clone())
            .unwrap_or_default())
    }

    /// Allows a component grants beyond this run, besides those that it has.
    ///
    /// # Errors
    /// A text is none that can be stored, or the file can't be read or written.
    pub fn allow(
        &self,
        name: &PluginName,
        digest: &str,
        capability_hash: &str,
        grants: &[String],
    ) -> Result<(), Refusal> {
        let _lock = self.lock()?;
        let mut approvals = self.read_approvals()?;
        approvals.add(name, digest, capability_hash, grants)?;
        self.write_approvals(&approvals)
    }

    /// Takes back grants of a plugin, or all of them where none is named, and returns what was taken back.
    ///
    /// # Errors
    /// One of them, or any, is not there to be taken back, and then none is; or the file can't be read or written.
    pub fn revoke(&self, name: &PluginName, grants: &[String]) -> Result<Vec<String>, Refusal> {
        let _lock = self.lock()?;
        let approvals = self.read_approvals()?.approvals;
        let own = approvals.iter().filter(|approval| approval.name == *name);
        let allowed: Vec<&String> = own.flat_map(|approval| &approval.grants).collect();
        let missing = grants.iter().find(|grant| !allowed.contains(grant));
        if allowed.is_empty() || missing.is_some() {
            return Err(Refusal::NoApproval {
                plugin: name.clone(),
                grant: missing.map(|grant| shown(grant)),
            });
        }
        self.take(|approval, grant| {
            let named = grants.is_empty() || grants.iter().any(|named| named == grant);
            approval.name == *name && named
        })
    }

    /// Allows a release what the one before it was allowed. Only for releases that the same publisher vouches for and that may ask for the same. The
    /// caller holds the lock.
    pub(super) fn carry_over(
        &self,
        name: &PluginName,
        from: &str,
        to: &str,
        capability_hash: &str,
    ) -> Result<Vec<String>, Refusal> {
        let mut approvals = self.read_approvals()?;
        let Some(before) = approvals.of(name, from, capability_hash) else {
            return Ok(Vec::new());
        };
        let grants = before.grants.clone();
        approvals.add(name, to, capability_hash, &grants)?;
        self.write_approvals(&approvals)?;
        Ok(grants)
    }

    /// Forgets what a component was allowed, and returns it. The caller holds the lock.
    pub(super) fn drop_approvals(
        &self,
        name: &PluginName,
        digest: &str,
    ) -> Result<Vec<String>, Refusal> {
        self.take(|approval, _| approval.name == *name && approval.digest == digest)
    }

    /// Takes back the grants for which `taken` holds, and returns them sorted.
    fn take(&self, taken: impl Fn(&Approval, &str) -> bool) -> Result<Vec<String>, Refusal> {
        let mut approvals = self.read_approvals()?;
        let mut all = Vec::new();
        for approval in &mut approvals.approvals {
            let (gone, kept) = std::mem::take(&mut approval.grants)
                .into_iter()
                .partition(|grant| taken(approval, grant));
            approval.grants = kept;
            all.extend::<Vec<String>>(gone);
        }
        if !all.is_empty() {
            approvals
                .approvals
                .retain(|approval| !approval.grants.is_empty());
            self.write_approvals(&approvals)?;
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn read_approvals(&self) -> Result<Approvals, Refusal> {
        self.require_own()?;
        let path = self.folder.join("approvals.json");
        let Some(bytes) = files::read(&path, MAX_FILE)? else {
            return Ok(Approvals::default());
        };
        let damaged = |problem: String| Refusal::damaged(&path, problem);
        let approvals: Approvals =
            serde_json::from_slice(&bytes).map_err(|error| damaged(shown(&error.to_string())))?;
        for approval in &approvals.approvals {
            approval
                .validate()
                .map_err(|problem| damaged(format!("{}: {problem}", approval.name)))?;
        }
        Ok(approvals)
    }

    fn write_approvals(&self, approvals: &Approvals) -> Result<(), Refusal> {
        let path = self.folder.join("approvals.json");
        let mut bytes = serde_json::to_vec_pretty(approvals)
            .map_err(|error| Refusal::state("write", &path, error.into()))?;
        bytes.push(b'\n');
        files::write(&path, &bytes)
    }
}
