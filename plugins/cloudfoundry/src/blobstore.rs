//! The blobstore: a folder of buckets, `/var/vcap/store/shared/BUCKET/ab/cd/KEY`.

use std::collections::{BTreeMap, BTreeSet};

use copal_sdk::{Command, Detection, Failure, Finding, Probe, RestoreRequest, Tree};
use serde::{Deserialize, Serialize};

use crate::BLOBSTORE;
use crate::config::{Buildpacks, Config, Preset};

/// What the Cloud Controller keeps, one bucket each.
const KINDS: [&str; 4] = [
    "cc-buildpacks",
    "cc-droplets",
    "cc-packages",
    "cc-resources",
];
/// What is in the bucket of droplets and made anew by staging.
const CACHE: &str = "cc-droplets/buildpack_cache";

/// What a restore changes of a blobstore.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Buckets {
    /// Old names and new ones.
    pub(crate) renamed: BTreeMap<String, String>,
    pub(crate) left_out: BTreeSet<String>,
    pub(crate) owner: Option<BlobOwner>,
}

/// Whom restored blobs belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobOwner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) user: String,
    pub(crate) group: String,
}

/// A bucket's name without the domain that older releases put in front of it, and that domain; none for what is no bucket.
pub(crate) fn kind(bucket: &str) -> Option<(&'static str, Option<&str>)> {
    KINDS
        .into_iter()
        .find_map(|kind| match bucket.strip_suffix(kind)? {
            "" => Some((kind, None)),
            domain => Some((kind, Some(domain.strip_suffix('-')?))),
        })
}

/// Whether the path is a cache of buildpacks.
pub(crate) fn is_cache(path: &str) -> bool {
    path.strip_suffix(CACHE)
        .is_some_and(|domain| !domain.contains('/') && (domain.is_empty() || domain.ends_with('-')))
}

/// The names of the buckets of a blobstore.
pub(crate) fn buckets(tree: &dyn Tree) -> Result<Vec<String>, Failure> {
    let entries = tree.list("")?;
    let buckets = entries
        .iter()
        .filter(|entry| entry.is_directory() && kind(&entry.path).is_some());
    Ok(buckets.map(|entry| entry.path.clone()).collect())
}

pub(crate) fn detect(root: &dyn Tree) -> Result<Option<Detection>, Failure> {
    let buckets = buckets(root)?;
    let has = |wanted| {
        buckets
            .iter()
            .any(|bucket| kind(bucket).is_some_and(|(kind, _)| kind == wanted))
    };
    let found = has("cc-droplets") && has("cc-packages");
    Ok(found.then(|| {
        Detection::new("Cloud Foundry", BLOBSTORE, 90)
            .because(format!("there are the buckets {}", buckets.join(", ")))
    }))
}

impl Buckets {
    /// What changes on the way into the target, and what is to be said about it. `domains` are the source's shared domains.
    pub(crate) fn plan(
        request: &RestoreRequest<'_, Config>,
        source: &dyn Tree,
        domains: &[String],
    ) -> Result<(Self, Vec<Finding>), Failure> {
        let config = &request.config;
        let mut plan = Self::default();
        let mut findings = Vec::new();
        let mut taken = BTreeMap::new();
        for bucket in buckets(source)? {
            let Some((kind, domain)) = kind(&bucket) else {
                continue;
            };
            let buildpacks = kind == "cc-buildpacks" && config.buildpacks() == Buildpacks::Target;
            if buildpacks || config.leave_out.contains(&bucket) {
                plan.left_out.insert(bucket);
                continue;
            }
            let stripped = match domain {
                Some(domain) if config.preset == Some(Preset::Paasta31To40) => {
                    if !domains.iter().any(|known| known == domain) {
                        findings.push(
                            Finding::error(
                                "cloudfoundry.blobstore.domain",
                                format!("The bucket {bucket} is named after {domain}, which is none of the source's shared domains."),
                            )
                            .remedy(format!("Leave it out with `leave_out={bucket}`, unless the dump is of another foundation than the blobstore."))
                            .at(format!("{BLOBSTORE}/{bucket}")),
                        );
                    }
                    true
                }
                _ => false,
            };
            let name = if stripped {
                kind.to_owned()
            } else {
                bucket.clone()
            };
            if let Some(other) = taken.insert(name.clone(), bucket.clone()) {
                findings.push(
                    Finding::error(
                        "cloudfoundry.blobstore.twice",
                        format!("Both {other} and {bucket} of the snapshot would become {name}."),
                    )
                    .remedy("Name the one that is out of use in `leave_out`.")
                    .at(format!("{BLOBSTORE}/{bucket}")),
                );
            }
            if stripped {
                plan.renamed.insert(bucket, name);
            }
        }
        if !request.rehearsal
            && let Some(target) = request.targets.get(BLOBSTORE)
        {
            match owner(target, &config.owner, request.probe)? {
                Ok(owner) => plan.owner = Some(owner),
                Err(finding) => findings.push(*finding),
            }
        }
        Ok((plan, findings))
    }
}

/// The numbers of the user that the blobs are to belong to: those of what is there already, else what the system says.
fn owner(
    target: &dyn Tree,
    user: &str,
    probe: &dyn Probe,
) -> Result<Result<BlobOwner, Box<Finding>>, Failure> {
    let root = target.stat("")?;
    let inside = match &root {
        Some(_) => target.list("")?,
        None => Vec::new(),
    };
    let there = root
        .iter()
        .chain(&inside)
        .find(|entry| entry.owner.user == user);
    if let Some(entry) = there {
        let owner = &entry.owner;
        return Ok(Ok(BlobOwner {
            uid: owner.uid,
            gid: owner.gid,
            user: owner.user.clone(),
            group: owner.group.clone(),
        }));
    }
    // passwd(5): NAME:PASSWORD:UID:GID:…
    let line = match probe.run(&Command::new(["getent", "passwd", user])) {
        Ok(output) => output.text(),
        Err(failure) => failure.message,
    };
    let fields: Vec<_> = line.split(':').collect();
    let numbers = match fields.as_slice() {
        [name, _, uid, gid, ..] if *name == user => uid.parse().ok().zip(gid.parse().ok()),
        _ => None,
    };
    Ok(numbers
        .map(|(uid, gid)| BlobOwner {
            uid,
            gid,
            user: user.to_owned(),
            group: String::new(),
        })
        .ok_or_else(|| {
            Box::new(
                Finding::warning(
                    "cloudfoundry.blobstore.owner",
                    format!("There is no user {user} here, so the blobs keep the owner that they had: {line}."),
                )
                .remedy("Restore on the host that serves the blobstore, or set `owner`.")
                .at(BLOBSTORE),
            )
        }))
}

#[cfg(test)]
mod tests {
    use copal_sdk::testing::{FakeProbe, MemoryTree, NOW};
    use copal_sdk::{Facts, Intent, Trees, config};

    use super::*;

    const DOMAIN: &str = "example.com";

    /// What is planned for these buckets, and the codes of what is said about them.
    fn plan(buckets: &[&str], config: &str) -> (Buckets, Vec<String>) {
        let tree = |buckets: &[&str]| {
            buckets
                .iter()
                .fold(MemoryTree::new(BLOBSTORE), |tree, bucket| {
                    tree.file(&format!("{bucket}/ab/cd/blob"), "")
                })
        };
        let probe = FakeProbe::new().answer(
            ["getent", "passwd", "vcap"],
            0,
            "vcap:x:1000:1001::/home/vcap:/bin/sh\n",
        );
        let request = RestoreRequest {
            targets: tree(&["cc-packages"]).into(),
            snapshot: Trees::default(),
            probe: &probe,
            intent: Intent::Migrate,
            rehearsal: false,
            config: config::parse(config).unwrap(),
            now: NOW,
            facts: Facts::default(),
            streams: Vec::new(),
        };
        let domains = [DOMAIN.to_owned()];
        let (plan, findings) = Buckets::plan(&request, &tree(buckets), &domains).unwrap();
        (
            plan,
            findings.into_iter().map(|finding| finding.code).collect(),
        )
    }

    #[test]
    fn the_preset_takes_the_domain_off_and_leaves_old_buildpacks_out() {
        let buckets = [
            "example.com-cc-buildpacks",
            "example.com-cc-packages",
            "cc-droplets",
            "lost+found",
        ];
        let (planned, codes) = plan(&buckets, r#"{"preset": "paasta-3.1-to-4.0"}"#);
        assert_eq!(codes, [""; 0]);
        assert_eq!(
            planned.renamed,
            BTreeMap::from([(
                "example.com-cc-packages".to_owned(),
                "cc-packages".to_owned()
            )])
        );
        assert_eq!(
            planned.left_out,
            BTreeSet::from(["example.com-cc-buildpacks".to_owned()])
        );
        let owner = planned.owner.unwrap();
        assert_eq!((owner.uid, owner.gid), (1000, 1001));

        let (planned, _) = plan(&buckets, "{}");
        assert!(planned.renamed.is_empty() && planned.left_out.is_empty());
    }

    #[test]
    fn buckets_that_would_become_one_or_are_of_a_foreign_domain_are_refused() {
        let twice = ["example.com-cc-packages", "cc-packages"];
        let preset = r#"{"preset": "paasta-3.1-to-4.0"}"#;
        assert_eq!(plan(&twice, preset).1, ["cloudfoundry.blobstore.twice"]);
        let settled = r#"{"preset": "paasta-3.1-to-4.0", "leave_out": ["cc-packages"]}"#;
        assert_eq!(plan(&twice, settled).1, [""; 0]);
        let foreign = ["other.example-cc-packages"];
        assert_eq!(plan(&foreign, preset).1, ["cloudfoundry.blobstore.domain"]);
    }

    #[test]
    fn an_owner_that_nobody_knows_is_told() {
        let (planned, codes) = plan(&["cc-packages"], r#"{"owner": "nobody-here"}"#);
        assert_eq!(planned.owner, None);
        assert_eq!(codes, ["cloudfoundry.blobstore.owner"]);
    }

    #[test]
    fn buckets_are_known_with_and_without_a_domain() {
        assert_eq!(kind("cc-droplets"), Some(("cc-droplets", None)));
        assert_eq!(
            kind("115.68.46.29.xip.io-cc-packages"),
            Some(("cc-packages", Some("115.68.46.29.xip.io")))
        );
        assert_eq!(kind("acc-packages"), None);
        assert_eq!(kind("cc-packages-old"), None);
    }

    #[test]
    fn caches_of_buildpacks_are_known() {
        assert!(is_cache("cc-droplets/buildpack_cache"));
        assert!(is_cache("example.com-cc-droplets/buildpack_cache"));
        assert!(!is_cache("cc-droplets/bu/il/buildpack_cache"));
        assert!(!is_cache("x/cc-droplets/buildpack_cache"));
        assert!(!is_cache("cc-droplets"));
    }
}
