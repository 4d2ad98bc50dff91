//! Every link of the documentation leads somewhere, and every page stands in the book's table of contents.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};

use super::markdown::Page;
use crate::docs::files_beneath;

/// Folders whose Markdown is checked, besides the files at the root.
const FOLDERS: [&str; 5] = ["docs", "plugins", "examples", "sdk", "tests"];
/// Where the book's pages lie, and which of them is its table of contents.
const BOOK: &str = "docs/src";
const CONTENTS: &str = "docs/src/SUMMARY.md";

/// Each fault as a line that names file, line and link.
pub(crate) fn faults(root: &Path) -> Result<Vec<String>> {
    let pages = pages(root)?;
    let mut faults = Vec::new();
    for (path, page) in &pages {
        for (line, link) in &page.links {
            if let Some(fault) = fault(root, &pages, path, link) {
                faults.push(format!("{}:{line}: {fault}", path.display()));
            }
        }
    }
    let contents = pages
        .get(Path::new(CONTENTS))
        .with_context(|| format!("there is no {CONTENTS}"))?;
    let listed: Vec<PathBuf> = contents
        .links
        .iter()
        .filter_map(|(_, link)| beside(Path::new(CONTENTS), link))
        .collect();
    for path in pages.keys() {
        if path.starts_with(BOOK) && path != Path::new(CONTENTS) && !listed.contains(path) {
            faults.push(format!("{}: does not stand in {CONTENTS}", path.display()));
        }
    }
    Ok(faults)
}

/// All pages by their paths from the root, with what they include put in.
fn pages(root: &Path) -> Result<BTreeMap<PathBuf, Page>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    for folder in FOLDERS {
        let folder = root.join(folder);
        if folder.is_dir() {
            paths.extend(files_beneath(&folder, ".md")?);
        }
    }
    let mut pages = BTreeMap::new();
    for path in paths {
        let text = included(&path)?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
        pages.insert(name, Page::parse(&text));
    }
    Ok(pages)
}

/// A page's text with the files that its lines `{{#include FILE}}` name.
fn included(path: &Path) -> Result<String> {
    let mut all = String::new();
    for line in fs::read_to_string(path)?.lines() {
        let file = line
            .strip_prefix("{{#include ")
            .and_then(|rest| rest.strip_suffix("}}"));
        match file {
            Some(file) => {
                let file = path.with_file_name(file);
                let text = fs::read_to_string(&file)
                    .with_context(|| format!("{} includes {}", path.display(), file.display()))?;
                all.push_str(&text);
            }
            None => {
                all.push_str(line);
                all.push('\n');
            }
        }
    }
    Ok(all)
}

/// What is wrong with a link of the page at `path`.
fn fault(root: &Path, pages: &BTreeMap<PathBuf, Page>, path: &Path, link: &str) -> Option<String> {
    let elsewhere = ["https://", "http://", "mailto:"];
    if elsewhere.iter().any(|scheme| link.starts_with(scheme)) {
        return None;
    }
    let Some(target) = beside(path, link) else {
        return Some(format!("the link `{link}` leads out of the project"));
    };
    if !root.join(&target).exists() {
        return Some(format!("the link `{link}` leads to nothing"));
    }
    let (_, anchor) = link.split_once('#')?;
    let there = pages
        .get(&target)
        .is_some_and(|page| page.anchors.iter().any(|there| there == anchor));
    (!there).then(|| format!("the link `{link}` leads to no heading"))
}

/// The path from the root that a link of the page at `path` names.
fn beside(path: &Path, link: &str) -> Option<PathBuf> {
    let file = link.split('#').next().unwrap_or_default();
    if file.is_empty() {
        return Some(path.to_owned());
    }
    let mut target = path.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(file).components() {
        match part {
            Component::Normal(name) => target.push(name),
            Component::CurDir => {}
            Component::ParentDir if target.pop() => {}
            _ => return None,
        }
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_must_lead_to_a_file_and_a_heading_that_are_there() {
        let root = std::env::temp_dir().join(format!("copal-xtask-links-{}", std::process::id()));
        fs::create_dir_all(root.join(BOOK)).unwrap();
        let write = |path: &str, text: &str| fs::write(root.join(path), text).unwrap();
        write(CONTENTS, "[a](a.md) [b](b.md)");
        write(
            "docs/src/a.md",
            "# A\n[ok](b.md#of-b) [ok](#a) [ok](../../README.md) [ok](https://example.org/x)\n[no](c.md) [no](b.md#c) [no](../../../x.md)\n",
        );
        write("docs/src/b.md", "{{#include ../../README.md}}\n");
        write("docs/src/lost.md", "");
        write("README.md", "# Of B\n");
        let faults = faults(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            faults,
            [
                "docs/src/a.md:3: the link `c.md` leads to nothing",
                "docs/src/a.md:3: the link `b.md#c` leads to no heading",
                "docs/src/a.md:3: the link `../../../x.md` leads out of the project",
                "docs/src/lost.md: does not stand in docs/src/SUMMARY.md",
            ]
        );
    }
}
