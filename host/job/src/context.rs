//! What every job needs of the machine that it runs on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::{Identity, TreeId};
use copal_sandbox::{Grant, Plugin};
use jiff::Timestamp;
use tokio::runtime::Handle;

use crate::authority::{Authority, Release, Use};
use crate::error::Error;
use crate::manifest::PluginIdentity;

/// The surroundings of a job.
#[derive(Clone, Debug)]
pub struct Context {
    /// Drives storage and requests.
    pub runtime: Handle,
    /// Copal's own folder on this machine: the journals lie here.
    pub state: PathBuf,
    /// Set when the operator interrupts; the job then ends soon and takes back what it did.
    pub cancel: Arc<AtomicBool>,
    /// Who runs the job, and on which machine.
    pub identity: Identity,
    /// The program and its version, such as `copal 0.1.0`.
    pub program: String,
    /// Decides which plugins may work.
    pub authority: Arc<dyn Authority>,
}

impl Context {
    /// Lets a plugin work, or refuses it.
    pub(crate) fn admit(
        &self,
        plugin: &PluginIdentity,
        release: Release,
        to: Use,
    ) -> Result<Release, Error> {
        self.authority
            .admit(plugin, release, to)
            .map_err(Error::Unadmitted)
    }

    /// What the operator allowed a plugin for good.
    pub(crate) fn allowed(&self, plugin: &Plugin) -> Result<Vec<Grant>, Error> {
        self.authority.allowed(plugin).map_err(Error::Unadmitted)
    }

    /// A snapshot taken here and now, of this tree; its paths, tags and parent are the job's to fill.
    pub(crate) fn snapshot(&self, time: Timestamp, tree: TreeId) -> Snapshot {
        let mut snapshot = Snapshot::new(crate::convert::repository_time(time), tree);
        snapshot.hostname.clone_from(&self.identity.hostname);
        snapshot.username.clone_from(&self.identity.username);
        snapshot.uid = self.identity.uid;
        snapshot.gid = self.identity.gid;
        snapshot.program_version.clone_from(&self.program);
        snapshot
    }
}
