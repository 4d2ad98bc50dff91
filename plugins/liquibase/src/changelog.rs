//! The change sets of a changelog: all files that it includes, in their order, and which of them Liquibase would run.
//!
//! Only what makes a change set's identity and says whether it runs is read; what it changes is Liquibase's business.

mod expression;
mod include;
mod scalar;
mod sql;
#[cfg(test)]
mod tests;
mod xml;
mod yaml;

use std::collections::BTreeMap;

use copal_sdk::{Failure, Finding, Tree};

use crate::config::Config;
use expression::Expression;

/// A changelog, with all that it includes.
#[derive(Debug, Default)]
pub(crate) struct Changelog {
    /// In the order in which Liquibase runs them.
    pub(crate) change_sets: Vec<ChangeSet>,
    /// What could not be followed.
    pub(crate) findings: Vec<Finding>,
}

/// A change set. The id, the author and the path are its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeSet {
    pub(crate) id: String,
    pub(crate) author: String,
    /// As Liquibase compares it: relative to the search path.
    pub(crate) path: String,
    /// Why it does not run here; none where it does.
    pub(crate) filtered: Option<String>,
}

/// What one file says, format by format the same.
#[derive(Debug, Default, PartialEq, Eq)]
struct Document {
    /// `logicalFilePath`, `context`, … of the whole file.
    attributes: Attributes,
    /// The change sets, includes and properties in their order.
    items: Vec<Item>,
}

/// A change set, an include or a property.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    /// `changeSet`, `include`, `includeAll`, `property`, …
    name: String,
    attributes: Attributes,
}

type Attributes = BTreeMap<String, String>;

/// What Liquibase is run with.
struct Selection<'a> {
    contexts: &'a [String],
    labels: Option<Expression>,
}

/// Reads the changelog that is configured.
pub(crate) fn read(tree: &dyn Tree, config: &Config) -> Result<Changelog, Failure> {
    let Some(file) = &config.changelog else {
        return Err(Failure::invalid_config(
            "liquibase.config.changelog",
            "`changelog` is not set, so which file of the root `changelog` Liquibase begins with is not known",
        )
        .remedy("set `changelog` to the path that Liquibase is given, such as db/changelog.yaml"));
    };
    let labels = config
        .label_filter
        .as_deref()
        .map(Expression::parse)
        .transpose();
    let labels = labels.map_err(|problem| {
        Failure::invalid_config(
            "liquibase.config.label-filter",
            format!("`label_filter` can't be read: {problem}"),
        )
    })?;
    let selection = Selection {
        contexts: &config.contexts,
        labels,
    };
    include::read(tree, file, &selection, &config.parameters)
}

/// A file's path as Liquibase compares it: without what led to it.
pub(crate) fn normalize(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path
        .strip_prefix("classpath*:")
        .or(path.strip_prefix("classpath:"))
        .unwrap_or(&path);
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Why the attributes of a change set, an include or a file keep it from running; none where they don't.
fn filtered(attributes: &Attributes, selection: &Selection<'_>) -> Result<Option<String>, String> {
    if attributes
        .get("ignore")
        .is_some_and(|ignore| ignore.eq_ignore_ascii_case("true"))
    {
        return Ok(Some("it is to be ignored".to_owned()));
    }
    if let Some(dbms) = attributes
        .get("dbms")
        .filter(|dbms| !is_for_postgresql(dbms))
    {
        return Ok(Some(format!("it is for {dbms}")));
    }
    for name in ["contextFilter", "context"] {
        if let Some(context) = attributes
            .get(name)
            .filter(|context| !context.trim().is_empty())
            && !Expression::parse(context)?.runs_in(selection.contexts)
        {
            return Ok(Some(format!("its context is {context}")));
        }
    }
    if let (Some(filter), Some(labels)) = (&selection.labels, attributes.get("labels")) {
        let labels: Vec<&str> = labels
            .split(',')
            .map(str::trim)
            .filter(|label| !label.is_empty())
            .collect();
        let has = |name: &str| labels.iter().any(|label| label.eq_ignore_ascii_case(name));
        if !labels.is_empty() && !filter.holds(&has) {
            return Ok(Some(format!("its labels are {}", labels.join(", "))));
        }
    }
    Ok(None)
}

/// `h2, postgresql`, `!oracle`, `all`, `none`.
fn is_for_postgresql(dbms: &str) -> bool {
    let names: Vec<String> = dbms
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let has = |name: &str| names.iter().any(|other| other == name);
    let only_others = !names.is_empty() && names.iter().all(|name| name.starts_with('!'));
    !has("!postgresql")
        && !has("none")
        && (names.is_empty() || only_others || has("all") || has("postgresql"))
}
