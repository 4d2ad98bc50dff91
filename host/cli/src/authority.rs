//! What this machine knows of plugins that others publish, as jobs ask for it.

use copal_job::{Admission, Authority, PluginIdentity, Refusal, Release, Use};
use copal_sandbox::Grant;
use copal_trust::{Bundle, COMPONENT, PluginName, Store};

/// Decides by the publishers' documents, what is installed and what was approved.
#[derive(Debug)]
pub(crate) struct Keeper(pub(crate) Store);

impl Authority for Keeper {
    fn admit(
        &self,
        plugin: &PluginIdentity,
        release: Release,
        to: Use,
    ) -> Result<Admission, Refusal> {
        // What has no such name has no publisher, and nothing was allowed to it for good.
        let Ok(name) = plugin.name.parse::<PluginName>() else {
            return Ok(Admission {
                release,
                grants: Vec::new(),
            });
        };
        let release = self.release(&name, plugin, release)?;
        if to != Use::RestoreRevoked {
            self.check(&name, plugin, &release, to)?;
        }
        Ok(Admission {
            grants: self.grants(&name, plugin)?,
            release,
        })
    }
}

impl Keeper {
    /// The release of a component: what came with it, else what is installed.
    fn release(
        &self,
        name: &PluginName,
        plugin: &PluginIdentity,
        release: Release,
    ) -> Result<Release, Refusal> {
        let installed = match release.files().next() {
            Some(_) => None,
            None => self.0.installed(name).map_err(refusal)?,
        };
        let Some(installed) = installed.filter(|installed| installed.digest == plugin.digest)
        else {
            return Ok(release);
        };
        let bundle = installed.bundle().map_err(refusal)?;
        let documents = bundle.files().filter(|(name, _)| *name != COMPONENT);
        Ok(documents
            .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
            .collect())
    }

    /// Refuses a release that its publisher took back.
    fn check(
        &self,
        name: &PluginName,
        plugin: &PluginIdentity,
        release: &Release,
        to: Use,
    ) -> Result<(), Refusal> {
        let mut bundle = Bundle::default();
        for (file, bytes) in release.files() {
            // A snapshot's folder may hold files that are none of a release: they prove nothing.
            if bundle.insert(file, bytes.to_vec().into()).is_err() {
                tracing::warn!("a snapshot keeps the strange file {file:?} of a plugin's release");
            }
        }
        let revoked = self.0.revoked(name, &plugin.digest, Some(&bundle));
        let Some(revocation) = revoked.map_err(refusal)? else {
            return Ok(());
        };
        let advice = match to {
            Use::Backup => {
                "Install the release that its publisher offers instead: `copal plugin update`."
            }
            Use::Restore | Use::RestoreRevoked => {
                "Give the plugin of a later release by --plugin, or add --allow-revoked to use this one all the same."
            }
        };
        Err(Refusal {
            kind: "plugin-revoked",
            message: format!(
                "{} took back the release {} of {name}: {}",
                revocation.publisher, plugin.version, revocation.reason
            ),
            advice: Some(advice.to_owned()),
        })
    }

    /// What the operator allowed this very component for good.
    fn grants(&self, name: &PluginName, plugin: &PluginIdentity) -> Result<Vec<Grant>, Refusal> {
        let approvals = self.0.approvals().map_err(refusal)?;
        let own = approvals
            .iter()
            .filter(|approval| approval.name == *name && approval.digest == plugin.digest);
        own.flat_map(|approval| &approval.grants)
            .map(|grant| {
                grant.parse().map_err(|problem| Refusal {
                    kind: "approval",
                    message: format!("what {name} was allowed can't be used: {problem}"),
                    advice: Some(format!("`copal grants revoke {name}` takes it back.")),
                })
            })
            .collect()
    }
}

fn refusal(refusal: copal_trust::Refusal) -> Refusal {
    Refusal {
        kind: refusal.kind(),
        message: refusal.to_string(),
        advice: refusal.advice(),
    }
}
