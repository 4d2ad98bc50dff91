//! Follows a changelog through all files that it includes.

use std::collections::BTreeMap;

use copal_sdk::{Failure, FailureKind, Finding, Tree};

use super::{
    Attributes, ChangeSet, Changelog, Document, Item, Selection, filtered, normalize, sql, xml,
    yaml,
};
use crate::CHANGELOG;

/// The largest file that is read. A change set in SQL may hold data.
const LARGEST: usize = 64 << 20;
/// How deep includes may be nested.
const DEEPEST: usize = 32;
/// More files and change sets than any application has.
const MOST_FILES: usize = 20_000;
const MOST_CHANGE_SETS: usize = 200_000;

pub(super) fn read(
    tree: &dyn Tree,
    file: &str,
    selection: &Selection<'_>,
    parameters: &BTreeMap<String, String>,
) -> Result<Changelog, Failure> {
    let mut reader = Reader {
        tree,
        selection,
        parameters: parameters.clone(),
        files: 0,
        open: Vec::new(),
        changelog: Changelog::default(),
    };
    let file = normalize(file);
    if !reader.file(&file, &[], OnUnknown::Refuse)? {
        return Err(Failure::missing(
            "liquibase.changelog.missing",
            format!("there is no {file} in {}", tree.location()),
        )
        .remedy(
            "set `changelog` to a path within the root `changelog`, as Liquibase is given it",
        ));
    }
    Ok(reader.changelog)
}

struct Reader<'a> {
    tree: &'a dyn Tree,
    selection: &'a Selection<'a>,
    /// Parameters; whichever is set first stays.
    parameters: BTreeMap<String, String>,
    files: usize,
    /// The files that are being read.
    open: Vec<String>,
    changelog: Changelog,
}

/// What a file of no known format means: it was named, or lies in a folder among others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnUnknown {
    Refuse,
    Skip,
}

impl Reader<'_> {
    /// Reads one file with all that it includes; `around` is what the includes around it say. Whether there is such a file.
    fn file(
        &mut self,
        path: &str,
        around: &[Attributes],
        unknown: OnUnknown,
    ) -> Result<bool, Failure> {
        let Some(entry) = self.tree.stat(path)? else {
            return Ok(false);
        };
        if entry.is_directory() {
            return Ok(false);
        }
        self.files += 1;
        if self.files > MOST_FILES
            || self.open.len() >= DEEPEST
            || self.open.iter().any(|open| open == path)
        {
            let chain = self
                .open
                .iter()
                .rev()
                .take(3)
                .map(String::as_str)
                .collect::<Vec<_>>();
            let message = format!(
                "{path} is included again within itself, or too deep, by {}",
                chain.join(", by ")
            );
            return Err(unreadable(message));
        }
        let Some(document) = self.parse(path, unknown)? else {
            return Ok(true);
        };
        self.open.push(path.to_owned());
        let done = self.document(path, document, around);
        self.open.pop();
        done.map(|()| true)
    }

    fn parse(&self, path: &str, unknown: OnUnknown) -> Result<Option<Document>, Failure> {
        let extension = path
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase());
        let parse: fn(&[u8]) -> Result<Document, String> = match extension.as_deref() {
            Some("yaml" | "yml" | "json") => yaml::parse,
            Some("xml") => xml::parse,
            Some("sql") => sql::parse,
            _ if unknown == OnUnknown::Skip => return Ok(None),
            _ => {
                return Err(unreadable(format!(
                    "{path} is of no format that can be read: XML, YAML, JSON and SQL can"
                )));
            }
        };
        let bytes = self.tree.read_all(path, LARGEST)?;
        parse(&bytes)
            .map(Some)
            .map_err(|problem| unreadable(format!("{path} can't be read: {problem}")))
    }

    fn document(
        &mut self,
        path: &str,
        document: Document,
        around: &[Attributes],
    ) -> Result<(), Failure> {
        let mut around = around.to_vec();
        let mut whole = document.attributes;
        let own = document
            .items
            .iter()
            .find(|item| item.name == "logicalFilePath");
        if let Some(own) = own.and_then(|item| item.attributes.get("logicalFilePath")) {
            whole
                .entry("logicalFilePath".to_owned())
                .or_insert_with(|| own.clone());
        }
        let logical = whole
            .remove("logicalFilePath")
            .map(|logical| self.fill(&logical));
        around.push(whole);
        for item in document.items {
            let Item { name, attributes } = item;
            let attributes = attributes
                .into_iter()
                .map(|(name, text)| (name, self.fill(&text)))
                .collect();
            match name.as_str() {
                "changeSet" => self.change_set(path, logical.as_deref(), &attributes, &around)?,
                "include" => self.include(path, attributes, &around)?,
                "includeAll" => self.include_all(path, attributes, &around)?,
                "property" => self.property(path, &attributes)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn change_set(
        &mut self,
        path: &str,
        logical: Option<&str>,
        attributes: &Attributes,
        around: &[Attributes],
    ) -> Result<(), Failure> {
        let (Some(id), Some(author)) = (attributes.get("id"), attributes.get("author")) else {
            return Err(unreadable(format!(
                "{path} has a change set without an id or an author"
            )));
        };
        let mut why = None;
        for attributes in around.iter().chain([attributes]) {
            let filtered = filtered(attributes, self.selection).map_err(|problem| {
                unreadable(format!("the change set {id} of {path}: {problem}"))
            })?;
            why = why.or(filtered);
        }
        let path = attributes
            .get("logicalFilePath")
            .map(String::as_str)
            .or(logical)
            .unwrap_or(path);
        let path = path.strip_prefix("classpath:").unwrap_or(path);
        self.changelog.change_sets.push(ChangeSet {
            id: id.clone(),
            author: author.clone(),
            path: path.trim_start_matches('/').to_owned(),
            filtered: why,
        });
        if self.changelog.change_sets.len() > MOST_CHANGE_SETS {
            return Err(unreadable(format!(
                "the changelog has more than {MOST_CHANGE_SETS} change sets"
            )));
        }
        Ok(())
    }

    fn include(
        &mut self,
        from: &str,
        attributes: Attributes,
        around: &[Attributes],
    ) -> Result<(), Failure> {
        let Some(file) = attributes.get("file") else {
            return Err(unreadable(format!(
                "{from} has an `include` without a file"
            )));
        };
        let path = resolve(from, file, &attributes);
        let around = within(around, &attributes);
        let required = attributes
            .get("errorIfMissing")
            .is_none_or(|value| value != "false");
        if !self.file(&path, &around, OnUnknown::Refuse)? && required {
            let message = format!("{from} includes {path}, which is not there");
            return Err(Failure::missing("liquibase.changelog.missing", message)
                .remedy("give the folder that Liquibase searches as the root `changelog`"));
        }
        Ok(())
    }

    fn include_all(
        &mut self,
        from: &str,
        attributes: Attributes,
        around: &[Attributes],
    ) -> Result<(), Failure> {
        let Some(folder) = attributes.get("path") else {
            return Err(unreadable(format!(
                "{from} has an `includeAll` without a path"
            )));
        };
        if let Some(class) = attributes
            .get("filter")
            .or(attributes.get("resourceFilter"))
        {
            self.changelog.findings.push(Finding::warning(
                "liquibase.changelog.filter",
                format!("The `includeAll` of {folder} has a filter in Java, {class}, which can't be asked; all files count."),
            ).at(format!("{CHANGELOG}/{from}")));
        }
        let folder = resolve(from, folder, &attributes);
        let number = |name: &str| {
            attributes
                .get(name)
                .and_then(|value| value.parse::<usize>().ok())
        };
        let depths = number("minDepth").unwrap_or(1)..=number("maxDepth").unwrap_or(usize::MAX);
        let mut files = Vec::new();
        if self
            .tree
            .stat(&folder)?
            .is_some_and(|entry| entry.is_directory())
        {
            self.list(&folder, 1, &mut files)?;
        }
        let ending = attributes
            .get("endsWithFilter")
            .map(|ending| ending.to_ascii_lowercase());
        files.retain(|(depth, path)| {
            let ends = ending
                .as_ref()
                .is_none_or(|ending| path.to_ascii_lowercase().ends_with(ending));
            depths.contains(depth) && ends
        });
        files.sort_by(|(_, one), (_, other)| one.cmp(other));
        let required = attributes
            .get("errorIfMissingOrEmpty")
            .is_none_or(|value| value != "false");
        if files.is_empty() && required {
            let message = format!("{from} includes all of {folder}, where there is nothing");
            return Err(Failure::missing("liquibase.changelog.missing", message)
                .remedy("give the folder that Liquibase searches as the root `changelog`"));
        }
        let around = within(around, &attributes);
        for (_, path) in files {
            self.file(&path, &around, OnUnknown::Skip)?;
        }
        Ok(())
    }

    fn list(
        &self,
        folder: &str,
        depth: usize,
        files: &mut Vec<(usize, String)>,
    ) -> Result<(), Failure> {
        if depth > DEEPEST || files.len() > MOST_FILES {
            return Err(unreadable(format!(
                "{folder} holds more folders or files than a changelog has"
            )));
        }
        for entry in self.tree.list(folder)? {
            if entry.is_directory() {
                self.list(&entry.path, depth + 1, files)?;
            } else {
                files.push((depth, entry.path));
            }
        }
        Ok(())
    }

    fn property(&mut self, path: &str, attributes: &Attributes) -> Result<(), Failure> {
        if let Some(file) = attributes.get("file") {
            self.changelog.findings.push(
                Finding::warning(
                    "liquibase.changelog.properties",
                    format!("The properties of {file} are not read."),
                )
                .remedy("Set those that paths, ids or authors are made of in `parameters`.")
                .at(format!("{CHANGELOG}/{path}")),
            );
        }
        let applies = filtered(attributes, self.selection)
            .map_err(|problem| unreadable(format!("{path}: {problem}")))?;
        if let (Some(name), Some(value), None) =
            (attributes.get("name"), attributes.get("value"), applies)
        {
            self.parameters
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        Ok(())
    }

    /// Puts parameters in. One that is not known stays as it is written, as Liquibase does it.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            filled.push_str(before);
            let parameter = behind.split_once('}');
            match parameter
                .and_then(|(name, after)| Some((self.parameters.get(name.trim())?, after)))
            {
                Some((value, after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None => {
                    filled.push_str("${");
                    rest = behind;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

/// What an include says of all that it includes.
fn within(around: &[Attributes], attributes: &Attributes) -> Vec<Attributes> {
    let inherited = ["context", "contextFilter", "labels", "ignore"];
    let own = attributes
        .iter()
        .filter(|(name, _)| inherited.contains(&name.as_str()));
    let own = own
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect();
    around.iter().cloned().chain([own]).collect()
}

/// The path of an included file or folder.
fn resolve(from: &str, path: &str, attributes: &Attributes) -> String {
    let relative = attributes
        .get("relativeToChangelogFile")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    match from.rsplit_once('/') {
        Some((folder, _)) if relative => normalize(&format!("{folder}/{path}")),
        _ => normalize(path),
    }
}

fn unreadable(message: String) -> Failure {
    Failure::new(
        FailureKind::Corrupt,
        "liquibase.changelog.unreadable",
        message,
    )
}
