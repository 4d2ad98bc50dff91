//! Golden files: what a case is expected to bring.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use copal_sandbox::types::Finding;
use serde::Serialize;
use similar::TextDiff;

use super::load::sorted;
use crate::error::Error;
use crate::memory::join;
use crate::saved::described;

/// Bytes of a content that is kept as a golden file; of a larger one the listing has the digest.
const MAX_CONTENT: usize = 1 << 20;

/// Bytes of a name that file systems take.
const MAX_NAME: usize = 255;

/// Lines around a difference.
const CONTEXT: usize = 3;

/// What a run of a case made: golden files by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results(BTreeMap<String, Vec<u8>>);

impl Results {
    /// The files, by their paths beneath `expected`.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.0
    }

    pub(super) fn json(&mut self, file: &str, value: &impl Serialize) {
        // Plain data always has a form in JSON.
        let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
        text.push(b'\n');
        self.0.insert(file.to_owned(), text);
    }

    pub(super) fn findings(&mut self, file: &str, findings: &[Finding]) {
        if !findings.is_empty() {
            self.json(file, &findings);
        }
    }

    pub(super) fn text(&mut self, file: &str, text: String) {
        self.0.insert(file.to_owned(), text.into_bytes());
    }

    /// Keeps the content of a file where it can be a golden file.
    pub(super) fn content(&mut self, folder: &str, path: &str, content: &[u8]) {
        let fits = path.split('/').all(|name| name.len() <= MAX_NAME);
        if fits && content.len() <= MAX_CONTENT {
            self.0.insert(join(folder, path), content.to_vec());
        }
    }
}

/// One golden file that is not what a run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its path beneath `expected`.
    pub file: String,
    /// What differs: lines with `-` were expected, those with `+` came instead.
    pub difference: String,
}

/// Compares the golden files with what a run made.
pub(super) fn compare(expected: &Path, results: &Results) -> Result<Vec<Difference>, Error> {
    let there = read(expected)?;
    let mut files: Vec<_> = there.keys().chain(results.0.keys()).collect();
    files.sort();
    files.dedup();
    let differences = files.into_iter().filter_map(|file| {
        let difference = match (there.get(file), results.0.get(file)) {
            (old, new) if old == new => return None,
            (old, new) => difference(old, new),
        };
        Some(Difference {
            file: file.clone(),
            difference,
        })
    });
    Ok(differences.collect())
}

/// Makes the golden files what a run made.
pub(super) fn update(expected: &Path, results: &Results) -> Result<Vec<Difference>, Error> {
    let differences = compare(expected, results)?;
    if differences.is_empty() {
        return Ok(differences);
    }
    if expected.exists() {
        fs::remove_dir_all(expected).map_err(Error::file("remove", expected))?;
    }
    for (file, content) in &results.0 {
        let path = expected.join(file);
        let folder = path.parent().unwrap_or(expected);
        fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
        fs::write(&path, content).map_err(Error::file("write", &path))?;
    }
    Ok(differences)
}

fn difference(old: Option<&Vec<u8>>, new: Option<&Vec<u8>>) -> String {
    let text = |content: Option<&Vec<u8>>| match content {
        None => Some(String::new()),
        Some(content) => String::from_utf8(content.clone()).ok(),
    };
    match (text(old), text(new)) {
        (Some(before), Some(after)) => {
            let side = |there: bool, name: &str| match there {
                true => name.to_owned(),
                false => format!("{name} (no such file)"),
            };
            let (before_is, after_is) = (
                side(old.is_some(), "expected"),
                side(new.is_some(), "came instead"),
            );
            TextDiff::from_lines(&before, &after)
                .unified_diff()
                .context_radius(CONTEXT)
                .header(&before_is, &after_is)
                .to_string()
        }
        _ => {
            let of = |content: Option<&Vec<u8>>| {
                content.map_or("nothing".to_owned(), |content| described(content, false))
            };
            format!("-{}\n+{}\n", of(old), of(new))
        }
    }
}

/// All files in a folder, by their paths beneath it.
fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut files = BTreeMap::new();
    let mut ahead = vec![(folder.to_owned(), String::new())];
    while let Some((folder, path)) = ahead.pop() {
        if !folder.exists() {
            continue;
        }
        for file in sorted(&folder)? {
            let name = file.file_name().unwrap_or_default();
            // Names of results are text; others are shown as such and can't equal one.
            let at = join(&path, &String::from_utf8_lossy(name.as_bytes()));
            if file.is_dir() {
                ahead.push((file, at));
            } else {
                let content = fs::read(&file).map_err(Error::file("read", &file))?;
                files.insert(at, content);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_files_are_what_came_after_an_update_and_tell_what_differs_before() {
        let place = tempfile::tempdir().unwrap();
        let expected = place.path().join("expected");
        let mut results = Results::default();
        results.text("saved.txt", "one\ntwo\n".to_owned());
        results.content("saved/home", "a/b", b"\xff\x00");
        assert_eq!(update(&expected, &results).unwrap().len(), 2);
        assert_eq!(compare(&expected, &results).unwrap(), []);

        let mut other = Results::default();
        other.text("saved.txt", "one\n2\n".to_owned());
        let differences = compare(&expected, &other).unwrap();
        let files: Vec<_> = differences
            .iter()
            .map(|found| found.file.as_str())
            .collect();
        assert_eq!(files, ["saved.txt", "saved/home/a/b"]);
        assert!(
            differences[0].difference.contains("-two\n+2\n"),
            "{differences:?}"
        );
        update(&expected, &other).unwrap();
        assert!(!expected.join("saved").exists());
    }
}
