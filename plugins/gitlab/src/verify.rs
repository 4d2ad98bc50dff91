//! Checks what a restore put in place: archives that GitLab can take, or a data volume that its git user can work on.

use copal_sdk::tar::Member;
use copal_sdk::{Entry, Failure, Finding, Tree, VerifyRequest};

use crate::archive::scan::{Look, Visitor, scan};
use crate::archive::{MEMBERS, SUFFIX, within};
use crate::config::Config;
use crate::facts;
use crate::installation::Installation;
use crate::layout::{BACKUPS, DATA, Layout, is_directory, join};
use crate::pass::Git;
use crate::restore::{RESTORE_STEP, chosen};
use crate::target;

/// The most repositories that are looked at one by one.
const MOST_REPOSITORIES: usize = 10_000;

pub(crate) fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let trees = |root: &str| request.snapshot.get(root).zip(request.targets.get(root));
    if let Some((snapshot, target)) = trees(BACKUPS) {
        archives(request, snapshot, target, &mut findings)?;
    }
    if let Some((snapshot, target)) = trees(DATA) {
        volume(request, snapshot, target, &mut findings)?;
    }
    let captured = request.captures.iter();
    let mut restored = captured.filter(|capture| capture.step == RESTORE_STEP);
    if let Some(capture) = restored.next() {
        findings.extend(failed_parts(&capture.output));
    }
    Ok(findings)
}

/// The target's user git; none in a rehearsal, which gives nothing away.
fn git(
    request: &VerifyRequest<'_, Config>,
    target: &dyn Tree,
    folder: &str,
    findings: &mut Vec<Finding>,
) -> Result<Option<Git>, Failure> {
    if request.rehearsal {
        return Ok(None);
    }
    let installation = Installation::of(&request.config, request.facts.get(facts::LAYOUT)?);
    let git = target::git(
        &request.config,
        &installation,
        request.probe,
        target,
        folder,
    )?;
    Ok(git.map_err(|finding| findings.push(finding)).ok())
}

fn archives(
    request: &VerifyRequest<'_, Config>,
    snapshot: &dyn Tree,
    target: &dyn Tree,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let git = git(request, target, "", findings)?;
    let names = chosen(&request.config, snapshot)?;
    let before = findings.len();
    let mut members = 0;
    for name in &names {
        let path = format!("{name}{SUFFIX}");
        let at = join(BACKUPS, &path);
        let Some(entry) = target.stat(&path)? else {
            findings
                .push(Finding::error("gitlab.verify.missing", "This archive is not there.").at(at));
            continue;
        };
        let saved = snapshot.stat(&path)?.map_or(0, |entry| entry.size);
        if entry.size != saved && !request.config.normalise {
            findings.push(
                Finding::error(
                    "gitlab.verify.size",
                    format!(
                        "The archive has {} bytes and not the {saved} that were saved.",
                        entry.size
                    ),
                )
                .at(&at),
            );
        }
        let mut count = Count(0);
        if let Err(failure) = scan(target, &path, &mut count) {
            let failure = within(&path, failure);
            findings.push(
                Finding::error(
                    "gitlab.verify.archive",
                    format!("The restored archive is not whole: {}.", failure.message),
                )
                .at(&at),
            );
        }
        members += count.0;
        findings.extend(git.and_then(|git| unreadable(&entry, git, &at)));
    }
    for entry in target.list("")? {
        if entry.is_directory() && entry.path.ends_with(MEMBERS) {
            findings.push(
                Finding::error("gitlab.verify.members", "The list of an archive's members was put in place beside it, where GitLab would take it for a backup.")
                    .at(join(BACKUPS, &entry.path)),
            );
        }
    }
    if findings.len() == before {
        let whose = git.map_or_else(String::new, |git| {
            format!(", and the user git ({}:{}) can read them", git.uid, git.gid)
        });
        findings.push(Finding::info(
            "gitlab.verify.archives",
            format!(
                "All archives ({}, with {members} members) are whole{whose}.",
                names.len()
            ),
        ));
    }
    Ok(())
}

/// The finding for an archive that GitLab could not open. It makes them for the user git alone.
fn unreadable(entry: &Entry, git: Git, at: &str) -> Option<Finding> {
    let fits = entry.owner.uid == git.uid && entry.mode & 0o400 != 0;
    (!fits).then(|| {
        Finding::error(
            "gitlab.verify.owner",
            format!(
                "The archive belongs to {}:{} with the mode {:o}, so the user git ({}:{}) can't read it.",
                entry.owner.uid, entry.owner.gid, entry.mode, git.uid, git.gid
            ),
        )
        .remedy("Restore as root, who alone can give files away.")
        .at(at)
    })
}

struct Count(u64);

impl Visitor for Count {
    fn member(&mut self, _member: &Member) -> Result<Look, Failure> {
        self.0 += 1;
        Ok(Look::Skip)
    }
}

fn volume(
    request: &VerifyRequest<'_, Config>,
    snapshot: &dyn Tree,
    target: &dyn Tree,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let Some(layout) = Layout::of(target)? else {
        findings.push(
            Finding::error(
                "gitlab.verify.volume",
                "The target is no data volume: there are no repositories.",
            )
            .at(DATA),
        );
        return Ok(());
    };
    let folder = layout.repositories();
    let git = git(request, target, folder, findings)?;
    let mut saved = Vec::new();
    repositories(snapshot, &join(folder, "@hashed"), 3, &mut saved)?;
    let before = findings.len();
    let top = target.stat(folder)?;
    for entry in top.iter().chain(&saved) {
        let at = join(DATA, &entry.path);
        let Some(restored) = target.stat(&entry.path)? else {
            findings.push(
                Finding::error("gitlab.verify.missing", "This repository is not there.").at(at),
            );
            continue;
        };
        if entry.path != folder && !target.exists(&join(&entry.path, "HEAD"))? {
            findings.push(
                Finding::error(
                    "gitlab.verify.repository",
                    "This is no git repository: it has no HEAD.",
                )
                .at(&at),
            );
        }
        let Some(git) = git else {
            continue;
        };
        let owner = &restored.owner;
        if (owner.uid, owner.gid) != (git.uid, git.gid) || restored.mode & 0o7777 != 0o2770 {
            findings.push(
                Finding::error(
                    "gitlab.verify.owner",
                    format!(
                        "This folder belongs to {}:{} with the mode {:o}; GitLab needs it to be {}:{} with 2770.",
                        owner.uid, owner.gid, restored.mode, git.uid, git.gid
                    ),
                )
                .remedy("Restore as root, who alone can give files away.")
                .at(at),
            );
        }
    }
    if findings.len() == before {
        let whose = git.map_or_else(String::new, |git| {
            format!(" and belong to the user git ({}:{})", git.uid, git.gid)
        });
        findings.push(Finding::info(
            "gitlab.verify.volume-whole",
            format!("All repositories ({}) are there{whose}.", saved.len()),
        ));
    }
    Ok(())
}

/// The repositories `depth` folders beneath a folder: `@hashed/aa/bb/HASH.git`.
fn repositories(
    tree: &dyn Tree,
    folder: &str,
    depth: usize,
    found: &mut Vec<Entry>,
) -> Result<(), Failure> {
    if !is_directory(tree, folder)? {
        return Ok(());
    }
    for entry in tree.list(folder)? {
        if found.len() >= MOST_REPOSITORIES {
            break;
        }
        if depth > 1 {
            repositories(tree, &entry.path, depth - 1, found)?;
        } else if entry.is_directory() && entry.path.ends_with(".git") {
            found.push(entry);
        }
    }
    Ok(())
}

/// What GitLab's restore said that it could not do, though it ended well.
fn failed_parts(output: &[u8]) -> Option<Finding> {
    let text = String::from_utf8_lossy(output);
    let failed = |line: &&str| line.to_ascii_lowercase().contains("[failed]");
    let lines: Vec<&str> = text.lines().filter(failed).take(10).collect();
    (!lines.is_empty()).then(|| {
        Finding::error(
            "gitlab.verify.restore",
            format!(
                "GitLab's restore ended well, but says of parts that they failed: {}",
                lines.join("; ")
            ),
        )
        .remedy("Look at these repositories, and restore again.")
    })
}
