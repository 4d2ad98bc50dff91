//! Copal, restic and rustic on each other's repositories: whichever of them wrote one, all three find it whole and restore the same from it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use copal_tests::environment::PASSWORD;
use copal_tests::restic::Restic;
use copal_tests::rustic::Rustic;
use copal_tests::{TestEnvironment, sample, tree};

/// What writes and reads repositories in restic's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Copal,
    Restic,
    Rustic,
}

const ALL: [Tool; 3] = [Tool::Copal, Tool::Restic, Tool::Rustic];

impl Tool {
    fn perform(self, at: &TestEnvironment, words: &[&str]) {
        let program = match self {
            Self::Copal => at.copal(words),
            Self::Restic => restic(at).command(words),
            Self::Rustic => rustic(at).command(words),
        };
        program.run().succeeds();
    }

    fn back_up(self, at: &TestEnvironment, source: &Path) {
        let path = source.to_str().unwrap();
        match self {
            Self::Copal => self.perform(at, &["backup", "--yes", "files", path]),
            Self::Restic | Self::Rustic => self.perform(at, &["backup", path]),
        }
    }

    /// Where in its snapshots a directory lies.
    fn place(self, source: &Path) -> &Path {
        match self {
            Self::Copal => Path::new("files"),
            Self::Restic | Self::Rustic => source.strip_prefix("/").unwrap(),
        }
    }

    /// Restores the newest snapshot, and gives where a directory then lies that `writer` had backed up.
    fn restore(self, at: &TestEnvironment, writer: Self, source: &Path, target: &Path) -> PathBuf {
        let path = target.to_str().unwrap();
        match self {
            Self::Copal => self.perform(at, &["restore", "latest", "--yes", "--to", path]),
            Self::Restic => self.perform(at, &["restore", "latest", "--target", path]),
            Self::Rustic => self.perform(at, &["restore", "latest", path]),
        }
        match (writer, self) {
            // The manifest says what the root is.
            (Self::Copal, Self::Copal) => target.to_owned(),
            _ => target.join(writer.place(source)),
        }
    }

    /// Leaves no data that nothing needs.
    fn prune(self, at: &TestEnvironment) {
        match self {
            Self::Copal | Self::Restic => self.perform(at, &["prune", "--max-unused", "0"]),
            // It marks packs, and removes them another day.
            Self::Rustic => self.perform(at, &["prune", "--max-unused", "0%"]),
        }
    }

    /// Writes all snapshots anew, and says whether it is without temporary files.
    fn rewrite(self, at: &TestEnvironment) -> bool {
        match self {
            Self::Copal => self.perform(at, &["rewrite", "--exclude", "*.tmp", "--forget"]),
            // 0.14, Debian's, rewrites no trees.
            Self::Restic => self.perform(at, &["tag", "--add", "kept"]),
            Self::Rustic => self.perform(at, &["rewrite", "--forget", "--glob", "!*.tmp"]),
        }
        self != Self::Restic
    }

    /// Makes another repository and copies all snapshots to it.
    fn copy(self, from: &TestEnvironment, to: &TestEnvironment) {
        if self != Self::Rustic {
            self.perform(to, &["init"]);
        }
        let (source, target) = (from.repository(), to.repository());
        let copy = match self {
            Self::Copal => to.copal(["copy", "--from-repo", source]),
            Self::Restic => restic(to).command(["copy", "--from-repo", source]),
            Self::Rustic => rustic(from).command(["copy", "--init", "--target", target]),
        };
        let copy = copy.env("COPAL_FROM_PASSWORD", PASSWORD);
        copy.env("RESTIC_FROM_PASSWORD", PASSWORD).run().succeeds();
    }
}

/// Whether all of them are here.
fn are_here(at: &TestEnvironment) -> bool {
    Restic::find(at).is_some() && Rustic::find(at).is_some()
}

fn restic(at: &TestEnvironment) -> Restic<'_> {
    Restic::find(at).unwrap()
}

fn rustic(at: &TestEnvironment) -> Rustic<'_> {
    Rustic::find(at).unwrap()
}

/// All three find a repository whole and restore the directory that `writer` backed up last.
fn all_accept(at: &TestEnvironment, writer: Tool, source: &Path, without: impl Fn(&Path) -> bool) {
    for reader in ALL {
        reader.perform(at, &["check", "--read-data"]);
        let target = at.path(format!("restored by {reader:?}"));
        let restored = reader.restore(at, writer, source, &target);
        tree::assert_same_but(source, &restored, |path| {
            without(path) || lost(writer, reader, path)
        });
        std::fs::remove_dir_all(target).unwrap();
    }
}

/// What one of them does not restore of what one of them wrote. restic 0.14 replaces what is not UTF-8 in a symlink's target when it writes and
/// when it reads; rustic keeps no more than the name of the directory that is backed up, and takes a mode that is 0, which the others leave
/// out, for none.
fn lost(writer: Tool, reader: Tool, path: &Path) -> bool {
    let path = path.as_os_str();
    match (writer, reader) {
        (Tool::Rustic, _) if path.is_empty() => true,
        (Tool::Copal | Tool::Restic, Tool::Rustic) if path == "nothing" => true,
        (Tool::Restic, _) | (_, Tool::Restic) => path == "link-to-latin",
        _ => false,
    }
}

/// What one of them does to a repository, all three accept.
fn all_accept_what_is_done_by(writer: Tool) {
    let at = TestEnvironment::new();
    if !are_here(&at) {
        return;
    }
    let source = at.make_directory("source");
    sample::awkward(&source);
    std::fs::write(source.join("scratch.tmp"), "of no use").unwrap();
    writer.perform(&at, &["init"]);
    writer.back_up(&at, &source);
    all_accept(&at, writer, &source, |_| false);

    std::fs::write(source.join("large"), sample::noise(2, 3 << 20)).unwrap();
    writer.back_up(&at, &source);
    writer.perform(&at, &["forget", "--keep-last", "1"]);
    assert_eq!(at.snapshots().len(), 1);
    all_accept(&at, writer, &source, |_| false);

    let before = restic(&at).blobs("data").len();
    writer.prune(&at);
    assert!(restic(&at).blobs("data").len() < before);
    all_accept(&at, writer, &source, |_| false);

    let left_out = writer.rewrite(&at);
    let left_out = |path: &Path| left_out && path.extension().is_some_and(|end| end == "tmp");
    assert_eq!(at.snapshots().len(), 1);
    all_accept(&at, writer, &source, left_out);

    let other = TestEnvironment::new();
    writer.copy(&at, &other);
    assert_eq!(other.snapshots().len(), 1);
    all_accept(&other, writer, &source, left_out);
}

#[test]
fn restic_and_rustic_accept_what_copal_does() {
    all_accept_what_is_done_by(Tool::Copal);
}

#[test]
fn copal_and_rustic_accept_what_restic_does() {
    all_accept_what_is_done_by(Tool::Restic);
}

#[test]
fn copal_and_restic_accept_what_rustic_does() {
    all_accept_what_is_done_by(Tool::Rustic);
}

/// The id of the listing of a directory in the newest snapshot.
fn listing(at: &TestEnvironment, place: &Path) -> String {
    let above = place.parent().unwrap().to_str().unwrap();
    let tree = at.copal(["cat", "tree", &format!("latest:{above}")]);
    let tree = tree.run().succeeds().json();
    let nodes = tree["nodes"].as_array().unwrap();
    let node = nodes
        .iter()
        .find(|node| node["name"] == place.file_name().unwrap().to_str().unwrap());
    node.unwrap()["subtree"].as_str().unwrap().to_owned()
}

/// rustic's listings have other ids: its times end in `+00:00` for `Z`, and its links have sizes.
#[test]
fn all_three_cut_files_alike_and_copal_gives_a_tree_the_id_that_restic_gives_it() {
    let at = TestEnvironment::with_repository();
    if !are_here(&at) {
        return;
    }
    let source = at.make_directory("source");
    sample::awkward(&source);
    std::fs::remove_file(source.join("link-to-latin")).unwrap();
    let made = ALL.map(|tool| {
        tool.back_up(&at, &source);
        (listing(&at, tool.place(&source)), restic(&at).blobs("data"))
    });
    let [copal, restic, rustic] = made;
    assert_eq!(copal.0, restic.0);
    assert_eq!(copal.1, restic.1);
    assert_eq!(restic.1, rustic.1);
    for tool in ALL {
        tool.perform(&at, &["check", "--read-data"]);
    }
}
