//! `copal plugin list` and `copal plugin info`; the other commands of plugins have a file each.

pub(crate) mod build;
pub(crate) mod new;

use std::process::ExitCode;

use copal_job::intent_word;
use copal_sandbox::types::Description;
use serde::Serialize;
use serde_json::Value;

use crate::args::PluginInfoArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, bundled, output};

#[derive(Serialize)]
struct Info<'a> {
    #[serde(flatten)]
    description: &'a Description,
    /// The schema as JSON rather than text.
    config_schema: Value,
    digest: &'a str,
    imports: &'a [String],
}

pub(crate) fn list(session: &Session) -> Outcome {
    let engine = session.engine()?;
    let mut descriptions = Vec::new();
    for (name, component) in bundled::all() {
        descriptions.push((name, engine.load(component)?.describe()?.clone()));
    }
    if session.global.json {
        let list: Vec<_> = descriptions
            .iter()
            .map(|(_, description)| description)
            .collect();
        output::json(&list)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["Name", "Plugin", "Version", "Summary"]);
    for (name, description) in &descriptions {
        table.add_row(
            [
                *name,
                &description.name,
                &description.version,
                &description.summary,
            ]
            .map(output::printable),
        );
    }
    output::print(&output::table_text(&table))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn info(args: &PluginInfoArgs, session: &Session) -> Outcome {
    let engine = session.engine()?;
    let plugin = session.plugin(&engine, &args.plugin)?;
    let description = plugin.describe()?;
    let schema: Value = serde_json::from_str(&description.config_schema).map_err(|e| {
        Failure::usage(
            "plugin-contract",
            format!("the plugin's configuration schema is not JSON: {e}"),
        )
    })?;
    if session.global.json {
        let info = Info {
            description,
            config_schema: schema,
            digest: plugin.digest(),
            imports: plugin.imports(),
        };
        output::json(&info)?;
    } else {
        output::print(&text(
            description,
            &schema,
            plugin.digest(),
            plugin.imports(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(description: &Description, schema: &Value, digest: &str, imports: &[String]) -> String {
    let mut text = format!(
        "{} {}\n{}\nsha256 {digest}\n",
        description.name, description.version, description.summary
    );
    let mut section = |title: &str, rows: Vec<(String, String)>| {
        if rows.is_empty() {
            return;
        }
        text += &format!("\n{title}\n");
        for (name, what) in rows {
            text += &format!("  {}\n", output::printable(&name));
            if !what.is_empty() {
                text += &format!("      {}\n", output::printable(&what));
            }
        }
    };
    section(
        "Applications",
        description
            .applications
            .iter()
            .map(|a| (a.name.clone(), a.versions.clone()))
            .collect(),
    );
    let mut roots: Vec<_> = description
        .roots
        .iter()
        .map(|root| (root.name.clone(), root.description.clone()))
        .collect();
    if description.any_roots {
        roots.push((
            "NAME".to_owned(),
            "Any other name of lower-case letters, digits and `-`.".to_owned(),
        ));
    }
    section("Roots", roots);
    section("Settings (--set KEY=VALUE)", settings(schema));
    section(
        "Grants that it may ask for",
        description
            .capabilities
            .iter()
            .map(|c| (c.grant.clone(), c.reason.clone()))
            .collect(),
    );
    section(
        "Intents of a restore",
        description
            .intents
            .iter()
            .map(|intent| (intent_word(*intent).to_owned(), String::new()))
            .collect(),
    );
    section(
        "Imports",
        imports
            .iter()
            .map(|import| (import.clone(), String::new()))
            .collect(),
    );
    text
}

fn settings(schema: &Value) -> Vec<(String, String)> {
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    properties
        .map(|(name, property)| {
            let what = property
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            (
                name.clone(),
                what.split_whitespace().collect::<Vec<_>>().join(" "),
            )
        })
        .collect()
}
