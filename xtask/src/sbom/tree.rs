//! What `cargo tree` says of a crate's dependencies.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::{command, workspace};

/// Which dependencies are listed, none of them for tests or builds alone.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// What is linked.
    Linked,
    /// The macros too that are run while it is compiled, and what is linked into them.
    All,
}

/// A crate of a certain version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
}

/// A crate and all that it depends on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) root: Package,
    /// The licence of each crate, as its manifest has it, and the crates that it depends on.
    pub(super) packages: BTreeMap<Package, (String, BTreeSet<Package>)>,
}

impl Tree {
    pub(super) fn of(package: &str, target: &str, which: Which) -> Result<Self> {
        let edges = match which {
            Which::Linked => "normal,no-proc-macro",
            Which::All => "normal",
        };
        let mut cargo = workspace::cargo();
        cargo
            .args(["tree", "--locked", "--package", package, "--target", target])
            .args([
                "--edges",
                edges,
                "--prefix",
                "depth",
                "--format",
                "|{p}|{l}|",
            ]);
        let text = command::output(&mut cargo)?;
        Self::parse(&text).with_context(|| command::line(&cargo))
    }

    /// Reads lines such as `1|clap v4.6.7|MIT OR Apache-2.0|`, which begin with the depth. What a crate depends on follows where it is listed first.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut packages: BTreeMap<Package, (String, BTreeSet<Package>)> = BTreeMap::new();
        let mut path: Vec<Package> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let unknown = || format!("a line of another form: {line}");
            let mut fields = line.split('|');
            let (depth, package) = (fields.next(), fields.next());
            let licence = fields.next().with_context(unknown)?;
            let depth: usize = depth.with_context(unknown)?.parse().with_context(unknown)?;
            let package = Package::parse(package.with_context(unknown)?).with_context(unknown)?;
            path.truncate(depth);
            if let Some(above) = path.last().and_then(|above| packages.get_mut(above)) {
                above.1.insert(package.clone());
            }
            packages
                .entry(package.clone())
                .or_insert_with(|| (licence.to_owned(), BTreeSet::new()));
            path.push(package);
        }
        let root = path.into_iter().next().context("no crates are listed")?;
        Ok(Self { root, packages })
    }
}

impl Package {
    /// Reads `serde v1.0.0` with whatever follows.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            name: words.next()?.to_owned(),
            version: words.next()?.strip_prefix('v')?.to_owned(),
        })
    }

    /// The crate's package URL.
    pub(super) fn purl(&self) -> String {
        // What a version may have beside letters, digits, dots and hyphens.
        let version = self.version.replace('+', "%2B");
        format!("pkg:cargo/{}@{version}", self.name)
    }
}
