//! The README stands in more than one language: a translation has the same blocks of code and leads to the same places.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::markdown::Page;

const ORIGINAL: &str = "README.md";

/// Each fault as a line that names the file.
pub(crate) fn faults(root: &Path) -> Result<Vec<String>> {
    let read = |name: &str| -> Result<Page> {
        let text = fs::read_to_string(root.join(name)).with_context(|| format!("no {name}"))?;
        Ok(Page::parse(&text))
    };
    let original = read(ORIGINAL)?;
    let mut faults = Vec::new();
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != ORIGINAL && name.starts_with("README.") && name.ends_with(".md") {
            let translation = read(&name)?;
            faults.extend(differences(&original, &translation, &name));
        }
    }
    faults.sort();
    Ok(faults)
}

fn differences(original: &Page, translation: &Page, name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, block) in original.blocks.iter().enumerate() {
        if translation.blocks.get(index) != Some(block) {
            let begin = block.text.lines().next().unwrap_or_default();
            faults.push(format!(
                "{name}: its block of code {} is not that of {ORIGINAL}, which begins with `{begin}`",
                index + 1
            ));
            break;
        }
    }
    if translation.blocks.len() > original.blocks.len() {
        faults.push(format!(
            "{name}: it has a block of code that {ORIGINAL} does not have"
        ));
    }
    if translation.anchors.len() != original.anchors.len() {
        faults.push(format!(
            "{name}: it has {} headings, and {ORIGINAL} has {}",
            translation.anchors.len(),
            original.anchors.len()
        ));
    }
    let mut missing: Vec<&String> = places(original)
        .filter(|link| !places(translation).any(|there| there == *link))
        .collect();
    missing.dedup();
    faults.extend(
        missing
            .iter()
            .map(|link| format!("{name}: it lacks the link `{link}` of {ORIGINAL}")),
    );
    faults
}

/// Where a page leads, but for its own headings and the other languages.
fn places(page: &Page) -> impl Iterator<Item = &String> {
    page.links
        .iter()
        .map(|(_, link)| link)
        .filter(|link| !link.starts_with('#') && !link.starts_with("README."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_translation_must_have_the_code_the_headings_and_the_links_of_the_original() {
        let original = Page::parse("# A\n[x](x.md)\n```console\n$ a\n```\n[ko](README.ko.md)\n");
        let same = Page::parse("# 가\n[엑스](x.md)\n```console\n$ a\n```\n[en](README.md)\n");
        assert_eq!(differences(&original, &same, "T"), [""; 0]);
        let behind = Page::parse("```console\n$ b\n```\n```\n```\n");
        assert_eq!(
            differences(&original, &behind, "T"),
            [
                "T: its block of code 1 is not that of README.md, which begins with `$ a`",
                "T: it has a block of code that README.md does not have",
                "T: it has 0 headings, and README.md has 1",
                "T: it lacks the link `x.md` of README.md",
            ]
        );
    }
}
