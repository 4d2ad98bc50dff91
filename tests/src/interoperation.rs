//! What must hold between Copal and restic wherever the repository lies.

use std::path::Path;

use crate::environment::TestEnvironment;
use crate::restic::Restic;
use crate::{sample, tree};

/// restic accepts a repository that Copal wrote, every byte of it, and restores the same tree from it; so does Copal.
#[track_caller]
pub fn restic_restores_what_copal_wrote(environment: &TestEnvironment, restic: &Restic<'_>) {
    let source = environment.make_directory("source");
    sample::awkward(&source);
    environment.copal(["init"]).run().succeeds();
    environment.backup("files", &source, "").run().succeeds();
    restic.check();

    let theirs = environment.path("theirs");
    restic.restore(&theirs);
    let root = only_root(environment);
    tree::assert_same_but(&source, &theirs.join(root), lost_by_restic);

    let ours = environment.path("ours");
    environment.restore(&ours, "").run().succeeds();
    tree::assert_same(&source, &ours);
}

/// Copal opens a repository that restic made, and restores a snapshot without a manifest as plain files.
#[track_caller]
pub fn copal_restores_what_restic_wrote(environment: &TestEnvironment, restic: &Restic<'_>) {
    let source = environment.make_directory("source");
    sample::awkward(&source);
    restic.init();
    restic.backup(&source);
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    let beneath = source.strip_prefix("/").unwrap();
    tree::assert_same_but(&source, &target.join(beneath), lost_by_restic);
}

/// The same tree, backed up by restic into a repository that Copal wrote, and the other way round, brings no new data: both cut
/// files at the same places.
#[track_caller]
pub fn both_cut_at_the_same_places(environment: &TestEnvironment, restic: &Restic<'_>) {
    let source = environment.make_directory("source");
    std::fs::write(source.join("noise"), sample::noise(7, 24 << 20)).unwrap();
    std::fs::write(source.join("text"), "line upon line\n".repeat(700_000)).unwrap();
    sample::simple(&source);
    environment.copal(["init"]).run().succeeds();
    environment.backup("files", &source, "").run().succeeds();
    let before = restic.blobs("data");
    assert!(
        before.len() > 10,
        "{} data blobs are too few to prove anything",
        before.len()
    );

    let summary = restic.backup(&source);
    assert_eq!(
        summary["data_blobs"], 0,
        "restic stored data that Copal had stored: {summary}"
    );
    assert_eq!(restic.blobs("data"), before);

    std::fs::write(source.join("more noise"), sample::noise(8, 24 << 20)).unwrap();
    restic.backup(&source);
    let before = restic.blobs("data");
    environment.backup("files", &source, "").run().succeeds();
    let added: Vec<_> = restic
        .blobs("data")
        .into_iter()
        .filter(|id| !before.contains(id))
        .collect();
    assert!(
        added.len() <= 1,
        "Copal stored data that restic had stored: {added:?}"
    );
}

/// restic 0.14, Debian's, replaces what is not UTF-8 in a symlink's target when it writes and when it reads.
fn lost_by_restic(path: &Path) -> bool {
    path == Path::new("link-to-latin")
}

/// The one directory at the top of the newest snapshot that is a root.
fn only_root(environment: &TestEnvironment) -> String {
    let document = environment.manifest();
    let roots = document["roots"]
        .as_array()
        .expect("the manifest lists roots");
    assert_eq!(roots.len(), 1, "{document:#}");
    roots[0]["name"]
        .as_str()
        .expect("a root has a name")
        .to_owned()
}
