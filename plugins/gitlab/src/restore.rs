//! Plans a restore: what refuses it, what is put in place for whom, and what GitLab does then.

mod archives;
mod staging;
mod volume;

use std::collections::BTreeSet;

use copal_sdk::{Command, Failure, Finding, Placement, RestorePlan, RestoreRequest, Step, Tree};

use crate::archive::selection;
use crate::config::{Config, Every, Kind};
use crate::facts;
use crate::installation::Installation;
use crate::layout::{BACKUPS, CONFIG, DATA};
use crate::pass::{Git, Placing, State};
use crate::secrets::{self, CheckValues};

/// The step that runs GitLab's own restore.
pub(crate) const RESTORE_STEP: &str = "restore-archive";

pub(crate) fn plan(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
    request.config.check()?;
    let kind: Option<Kind> = request.facts.get(facts::LAYOUT)?;
    let mut restore = Restore {
        request,
        installation: Installation::of(&request.config, kind),
        plan: RestorePlan::new(),
        placing: Placing::default(),
    };
    let placed =
        |root: &str| request.snapshot.get(root).is_some() && request.targets.get(root).is_some();
    let config_is_placed = placed(CONFIG) && restore.place_config()?;
    if !config_is_placed && !request.rehearsal {
        restore.compare_secrets()?;
    }
    if placed(BACKUPS) {
        restore.archives()?;
    }
    if placed(DATA) {
        restore.volume()?;
    }
    let Restore { plan, placing, .. } = restore;
    plan.state(&State::Restore(placing))
}

/// A plan in the making.
struct Restore<'a> {
    request: &'a RestoreRequest<'a, Config>,
    installation: Installation,
    plan: RestorePlan,
    placing: Placing,
}

impl Restore<'_> {
    fn tell(&mut self, finding: Finding) {
        self.plan.findings.push(finding);
    }

    /// Puts the configuration in place, unless the target has secrets of its own. Returns whether it did.
    fn place_config(&mut self) -> Result<bool, Failure> {
        let target = self.request.targets.require(CONFIG)?;
        if target.exists(secrets::FILE)? && !self.request.config.replace_config {
            self.tell(
                Finding::info("gitlab.config.kept", "The target has a gitlab-secrets.json of its own, so its configuration stays as it is.")
                    .remedy("Set `replace_config=true` to put the snapshot's in its place.")
                    .at(CONFIG),
            );
            return Ok(false);
        }
        self.plan.placements.push(Placement::tree(CONFIG));
        self.tell(
            Finding::info("gitlab.config.placed", "The source's configuration and secrets are put in place; GitLab takes them up when it is reconfigured.")
                .remedy("Look through gitlab.rb (external_url, mail, addresses) and run `gitlab-ctl reconfigure` before GitLab is used.")
                .at(CONFIG),
        );
        Ok(true)
    }

    fn compare_secrets(&mut self) -> Result<(), Failure> {
        let request = self.request;
        let source: CheckValues = request.facts.get(facts::SECRETS)?.unwrap_or_default();
        let config = request.targets.get(CONFIG);
        let target = secrets::check_values(config, &self.installation, request.probe)?;
        let unseen = request.config.unseen(request.config.target_checked);
        let findings = secrets::compare(&source, &target, unseen);
        self.plan.findings.extend(findings);
        Ok(())
    }

    /// Gives the top folder of a root, which no pass sees, to git.
    fn give(&mut self, root: &str, git: Git) {
        let owner = format!("{}:{}", git.uid, git.gid);
        self.plan.after.push(Step::new(
            format!("give-{root}"),
            format!("Give the folder {root} to the user git ({owner})"),
            Command::new(["chown".to_owned(), owner, format!("{{root:{root}}}")]),
        ));
    }
}

/// The archives of a snapshot that are put in place: all of them where nothing is said.
pub(crate) fn chosen(config: &Config, snapshot: &dyn Tree) -> Result<BTreeSet<String>, Failure> {
    let archives = selection::archives(snapshot)?;
    selection::choose(&archives, &config.archives, Every::All)
}
