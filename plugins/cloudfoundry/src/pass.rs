//! What of the blobstore is saved, and how blobs and dumps change on their way into a target.

use std::collections::BTreeMap;

use copal_sdk::{Change, Direction, Entry, Failure, Filter, Owner, Pass, Verdict};
use serde::{Deserialize, Serialize};

use crate::blobstore::{Buckets, is_cache};
use crate::{BLOBSTORE, Loading};

/// What a plan hands to its passes; none in a backup.
pub type State = Option<Placing>;

/// What a restore changes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Placing {
    pub(crate) buckets: Buckets,
    /// How each stream is loaded.
    pub(crate) streams: BTreeMap<String, Loading>,
}

/// The pass.
pub struct CloudFoundryPass(Placing);

impl Pass for CloudFoundryPass {
    type State = State;

    fn start(_direction: Direction, state: State) -> Result<Self, Failure> {
        Ok(Self(state.unwrap_or_default()))
    }

    fn classify(&mut self, root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        if root != BLOBSTORE {
            return Ok(Verdict::Keep);
        }
        let buckets = &self.0.buckets;
        if is_cache(&entry.path) || buckets.left_out.contains(&entry.path) {
            return Ok(Verdict::Skip);
        }
        let name = buckets.renamed.get(&entry.path).cloned();
        let owner = buckets.owner.as_ref().map(|owner| Owner {
            uid: owner.uid,
            gid: owner.gid,
            user: owner.user.clone(),
            group: owner.group.clone(),
        });
        Ok(match (&name, &owner) {
            (None, None) => Verdict::Keep,
            _ => Verdict::Change(Change {
                name,
                owner,
                ..Change::none()
            }),
        })
    }

    fn open(&mut self, root: &str, entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        match self.0.streams.get(&entry.path) {
            Some(loading) => Ok(Box::new(loading.filter())),
            None => Err(Failure::internal(
                "cloudfoundry.filter",
                format!("there is no filter for {root}/{}", entry.path),
            )),
        }
    }
}
