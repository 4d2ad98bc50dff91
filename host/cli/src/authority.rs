//! What this machine knows of plugins that others publish, as jobs ask for it.

use copal_job::{Authority, PluginIdentity, Refusal, Release, Use};
use copal_sandbox::{Grant, Plugin};
use copal_trust::{Bundle, PluginName, Revocation, Store, capability_hash, capability_lines};

use crate::failure::Failure;
use crate::plugins::described;

/// Decides by the publishers' documents, what is installed and what was approved.
#[derive(Debug)]
pub(crate) struct Keeper(pub(crate) Store);

impl Authority for Keeper {
    fn admit(
        &self,
        plugin: &PluginIdentity,
        release: Release,
        to: Use,
    ) -> Result<Release, Refusal> {
        // What has no such name has no publisher, and what comes with Copal has none that could take it back.
        let Some(name) = published(&plugin.name) else {
            return Ok(release);
        };
        if to == Use::RestoreRevoked {
            // The data comes back, whatever is known of the plugin.
            let release = self
                .release(&name, plugin, release.clone())
                .or_else(|problem| {
                    tracing::warn!("the release of {name} can't be kept: {problem}");
                    Ok::<_, Refusal>(release)
                })?;
            match self.revocation(&name, plugin, &release) {
                Ok(None) => {}
                Ok(Some(revocation)) => tracing::warn!(
                    "{}; it is used all the same",
                    message(&name, plugin, &revocation)
                ),
                Err(problem) => {
                    tracing::warn!("whether {name} was taken back can't be known: {problem}")
                }
            }
            return Ok(release);
        }
        let release = self.release(&name, plugin, release)?;
        match self.revocation(&name, plugin, &release)? {
            Some(revocation) => Err(Refusal {
                kind: "plugin-revoked",
                message: message(&name, plugin, &revocation),
                advice: Some(advice(to).to_owned()),
            }),
            None => Ok(release),
        }
    }

    fn allowed(&self, plugin: &Plugin) -> Result<Vec<Grant>, Refusal> {
        let described = described(plugin).map_err(|failure| of_failure(&failure))?;
        let Ok(name) = described.name.parse::<PluginName>() else {
            return Ok(Vec::new());
        };
        let lines = capability_lines(&described.imports, &described.capabilities);
        let hash = capability_hash(&lines);
        let grants = match self.0.approved(&name, plugin.digest(), &hash) {
            Ok(grants) => grants,
            // What comes with Copal works without this knowledge.
            Err(problem) if name.is_reserved() => {
                tracing::warn!("what {name} was allowed for good can't be known: {problem}");
                return Ok(Vec::new());
            }
            Err(problem) => return Err(refusal(&problem)),
        };
        let grants = grants.iter().map(|grant| {
            grant.parse().map_err(|problem| Refusal {
                kind: "approval",
                message: format!("what {name} was allowed can't be used: {problem}"),
                advice: Some(format!("`copal grants revoke {name}` takes it back.")),
            })
        });
        grants.collect()
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
            None => self
                .0
                .installed(name)
                .map_err(|problem| refusal(&problem))?,
        };
        let Some(installed) = installed.filter(|installed| installed.digest == plugin.digest)
        else {
            return Ok(release);
        };
        let bundle = installed.release().map_err(|problem| refusal(&problem))?;
        let files = bundle.files();
        Release::new(
            files
                .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
                .collect(),
        )
    }

    /// Whether its publisher took the release back.
    fn revocation(
        &self,
        name: &PluginName,
        plugin: &PluginIdentity,
        release: &Release,
    ) -> Result<Option<Revocation>, Refusal> {
        let mut bundle = Bundle::default();
        for (file, bytes) in release.files() {
            // A snapshot's folder may hold files that are none of a release: they prove nothing.
            if bundle.insert(file, bytes.to_vec().into()).is_err() {
                tracing::warn!("a snapshot keeps the strange file {file:?} of a plugin's release");
            }
        }
        let revoked = self.0.revoked(name, &plugin.digest, Some(&bundle));
        revoked.map_err(|problem| refusal(&problem))
    }
}

/// The name, where it is one that belongs to a publisher.
fn published(name: &str) -> Option<PluginName> {
    let name = name.parse::<PluginName>().ok();
    name.filter(|name| !name.is_reserved())
}

fn message(name: &PluginName, plugin: &PluginIdentity, revocation: &Revocation) -> String {
    format!(
        "{} took back the release {} of {name}: {}",
        revocation.publisher, plugin.version, revocation.reason
    )
}

fn advice(to: Use) -> &'static str {
    match to {
        Use::Backup => {
            "Install a later release of its publisher's: `copal plugin update`. If there is none yet, ask for one."
        }
        Use::Restore | Use::RestoreRevoked => {
            "Read the reason. To use it all the same add --allow-revoked; a restore or a drill may take the plugin of a later release by --plugin instead."
        }
    }
}

fn refusal(refusal: &copal_trust::Refusal) -> Refusal {
    Refusal {
        kind: refusal.kind(),
        message: refusal.to_string(),
        advice: refusal.advice(),
    }
}

fn of_failure(failure: &Failure) -> Refusal {
    Refusal {
        kind: failure.kind(),
        message: failure.to_string(),
        advice: failure.advice(),
    }
}
