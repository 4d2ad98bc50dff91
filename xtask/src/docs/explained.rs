//! What scripts and people look up is explained: every finding's code and every error's kind stands in the book, and nothing else does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};

use super::{files_beneath, markdown::Page};
use crate::workspace;

const CODES: &str = "docs/src/findings.md";
const KINDS: &str = "docs/src/reference/errors.md";

/// The first words of codes, besides the names of the plugins.
const FIRST_WORDS: [&str; 4] = ["copal", "sdk", "sql", "h2"];

/// Texts that are spelled like codes: names of files, and settings of applications.
const NO_CODES: [&str; 17] = [
    "copal.toml",
    "gitlab.rb",
    "gitlab.txt",
    "h2.jar",
    "jpom.cluster.heart-second",
    "jpom.cluster.id",
    "jpom.db.mode",
    "jpom.db.user-name",
    "jpom.db.user-pwd",
    "jpom.file-storage.save-pah",
    "jpom.path",
    "jpom.sql",
    "jpom.user.token-jwt-key",
    "metabase.db",
    "metabase.db.mv.db",
    "metabase.jar",
    "metabase.sql",
];

/// Each fault as a line that names the code or kind, and where it stands.
pub(crate) fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = codes(root)?;
    faults.extend(kinds(root)?);
    Ok(faults)
}

fn codes(root: &Path) -> Result<Vec<String>> {
    let mut first_words: Vec<String> = FIRST_WORDS.map(str::to_owned).to_vec();
    for entry in fs::read_dir(root.join("plugins"))? {
        first_words.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let mut used = BTreeMap::new();
    for folder in ["plugins", "host", "sdk"] {
        for path in files_beneath(&root.join(folder), ".rs")? {
            // Tests make codes up, and templates have names put in.
            let has = |name: &str| path.components().any(|part| part.as_os_str() == name);
            if !has("src") || has("template") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            for code in literals(&text) {
                if is_code(code, &first_words) {
                    used.insert(code.to_owned(), workspace::shown(&path));
                }
            }
        }
    }
    let page = explained(root, CODES)?;
    let explained: BTreeSet<&str> = page
        .iter()
        .map(String::as_str)
        .filter(|code| is_code(code, &first_words))
        .collect();
    let mut faults = Vec::new();
    for (code, path) in &used {
        if !explained.iter().any(|known| fits(code, known)) {
            faults.push(format!(
                "{path}: the code `{code}` is not explained in {CODES}"
            ));
        }
    }
    for code in explained {
        if !used.keys().any(|used| fits(used, code)) {
            faults.push(format!("{CODES}: the code `{code}` occurs nowhere"));
        }
    }
    Ok(faults)
}

fn kinds(root: &Path) -> Result<Vec<String>> {
    let mut used = BTreeMap::new();
    for path in files_beneath(&root.join("host"), ".rs")? {
        let text = fs::read_to_string(&path)?;
        for kind in kinds_in(&text) {
            used.insert(kind.to_owned(), workspace::shown(&path));
        }
    }
    let explained: BTreeSet<String> = first_cells(&fs::read_to_string(root.join(KINDS))?);
    let mut faults = Vec::new();
    for (kind, path) in &used {
        if !explained.contains(kind) {
            faults.push(format!(
                "{path}: the kind `{kind}` is not explained in {KINDS}"
            ));
        }
    }
    for kind in explained {
        if !used.contains_key(&kind) {
            faults.push(format!("{KINDS}: the kind `{kind}` occurs nowhere"));
        }
    }
    Ok(faults)
}

/// What stands in the code spans of a page.
fn explained(root: &Path, page: &str) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(root.join(page)).with_context(|| format!("there is no {page}"))?;
    Ok(Page::parse(&text)
        .code
        .into_iter()
        .map(|(_, code)| code)
        .collect())
}

/// The code spans in the first cells of a page's tables, where these hold spans and nothing else.
fn first_cells(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .filter(|cell| cell.starts_with('`'))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|kind| is_kind(kind))
        .map(str::to_owned)
        .collect()
}

/// The texts between double quotes on one line.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('"').skip(1).step_by(2))
}

/// Whether a text is a finding's code, or one of which a part is put in.
fn is_code(text: &str, first_words: &[String]) -> bool {
    let mut parts = text.split('.');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let known = first.starts_with('{') || first_words.iter().any(|word| word == first);
    let spelled = |part: &&str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*".contains(c))
    };
    // One word that is put in says too little to be a code: `{name}.sql`.
    let length = if first.starts_with('{') { 2 } else { 1 };
    known && rest.len() >= length && rest.iter().all(spelled) && !NO_CODES.contains(&text)
}

/// Whether a code is the one that a pattern stands for: `{…}` and `*` stand for one or more parts.
fn fits(code: &str, pattern: &str) -> bool {
    let wild = |part: &str| part.starts_with('{') || part == "*";
    let (mut code, mut pattern) = (code.split('.'), pattern.split('.'));
    loop {
        match (code.next(), pattern.next()) {
            (None, None) => return true,
            (Some(_), Some("*")) => return true,
            (Some(one), Some(other)) if one == other || wild(one) || wild(other) => {}
            _ => return false,
        }
    }
}

/// The kinds of errors that a file of the host's makes: in functions `kind` and where a failure of the command line is made.
fn kinds_in(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in text.split("fn kind(&self) -> &'static str {").skip(1) {
        let body = part.split("\n    }\n").next().unwrap_or_default();
        found.extend(literals(body));
    }
    for part in text.split("usage(").chain(text.split("kind: ")) {
        let part = part.trim_start();
        match part.strip_prefix('"') {
            Some(rest) => found.extend(rest.split('"').next()),
            None => found.extend(constant(text, part)),
        }
    }
    found.retain(|kind| is_kind(kind));
    found
}

/// The text of the constant whose name `part` begins with; none where it begins otherwise.
fn constant<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let name = part
        .split(|c: char| !c.is_ascii_uppercase() && c != '_')
        .next()?;
    let definition = format!("const {name}: &str = \"");
    text.split_once(&definition)?.1.split('"').next()
}

fn is_kind(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_from_other_texts() {
        let first_words = ["jpom".to_owned()];
        for code in [
            "jpom.h2.unclean",
            "jpom.root",
            "{plugin}.config.service",
            "{}.service.missing",
            "jpom.config.*",
        ] {
            assert!(is_code(code, &first_words), "{code}");
        }
        for other in [
            "jpom",
            "jpom.db.mode",
            "jpom.",
            "other.code",
            "{name}.sql",
            "jpom.mv.DB",
            "jpom is. so",
        ] {
            assert!(!is_code(other, &first_words), "{other}");
        }
    }

    #[test]
    fn a_part_that_is_put_in_stands_for_any() {
        for (code, pattern) in [
            ("jpom.h2.unclean", "jpom.h2.unclean"),
            ("jpom.config.name", "jpom.config.*"),
            ("{plugin}.config.service", "jpom.config.service"),
            ("{}.service.missing", "gitlab.service.missing"),
        ] {
            assert!(fits(code, pattern), "{code} {pattern}");
        }
        for (code, pattern) in [
            ("jpom.h2.unclean", "jpom.h2"),
            ("jpom.h2", "jpom.h2.unclean"),
            ("jpom.h2.closed", "jpom.h2.unclean"),
            ("{}.service.missing", "gitlab.service.unknown"),
        ] {
            assert!(!fits(code, pattern), "{code} {pattern}");
        }
    }

    #[test]
    fn kinds_are_found_where_errors_are_made() {
        let text = "
    pub fn kind(&self) -> &'static str {
        match self {
            Self::A => \"one\",
            Self::B(kind) => match kind {
                _ => \"two-words\",
            },
        }
    }

    const SIX: &str = \"six\";
    fn other() { Self::Usage { kind: SIX, }; Failure::usage(\"three\", format!(\"no kind\")); Failure::usage(
        \"four\", \"\") }
";
        assert_eq!(kinds_in(text), ["one", "two-words", "three", "four", "six"]);
        let page = "| kind | |\n|---|---|\n| `one`, `two-words` | a `word` |\n| plain | `no` |\n";
        assert_eq!(
            first_cells(page).into_iter().collect::<Vec<_>>(),
            ["one", "two-words"]
        );
    }
}
