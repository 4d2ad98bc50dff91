//! `copal plugin info`

use std::process::ExitCode;

use copal_job::intent_word;
use copal_sandbox::types::Description;
use copal_trust::PluginName;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::args::PluginInfoArgs;
use crate::failure::Failure;
use crate::session::Session;
use crate::{Outcome, output};

#[derive(Serialize)]
struct Info<'a> {
    #[serde(flatten)]
    description: &'a Description,
    /// The schema as JSON rather than text.
    config_schema: Value,
    digest: &'a str,
    imports: &'a [String],
    installed: Option<Origin>,
}

/// How an installed plugin came here.
#[derive(Serialize)]
struct Origin {
    /// Who signed it; none where nobody did.
    publisher: Option<String>,
    from: String,
    time: Timestamp,
    capability_hash: String,
    /// Why its publisher took it back.
    revoked: Option<String>,
}

impl Origin {
    /// Of the plugin that the operator means by this name.
    fn of(name: &str, session: &Session) -> Result<Option<Self>, Failure> {
        let Ok(name) = name.parse::<PluginName>() else {
            return Ok(None);
        };
        let Some(installed) = session.trust.installed(&name)? else {
            return Ok(None);
        };
        let revoked = session.trust.revoked(&name, &installed.digest, None)?;
        Ok(Some(Self {
            publisher: (!installed.unsigned).then(|| name.publisher().to_owned()),
            from: installed.from,
            time: installed.installed,
            capability_hash: installed.capability_hash,
            revoked: revoked.map(|revocation| revocation.reason),
        }))
    }

    /// For people.
    fn rows(&self) -> Vec<(String, String)> {
        let signed = match &self.publisher {
            Some(publisher) => format!("signed by {publisher}"),
            None => "not signed by anybody".to_owned(),
        };
        let mut rows = vec![
            (format!("from {}", self.from), String::new()),
            (format!("at {}", output::time(self.time)), String::new()),
            (signed, String::new()),
            (
                format!("capabilities {}", self.capability_hash),
                String::new(),
            ),
        ];
        if let Some(reason) = &self.revoked {
            rows.push(("REVOKED".to_owned(), reason.clone()));
        }
        rows
    }
}

pub(crate) fn run(args: &PluginInfoArgs, session: &Session) -> Outcome {
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
            installed: Origin::of(&args.plugin, session)?,
        };
        output::json(&info)?;
    } else {
        output::print(&text(
            description,
            &schema,
            plugin.digest(),
            plugin.imports(),
            Origin::of(&args.plugin, session)?.as_ref(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(
    description: &Description,
    schema: &Value,
    digest: &str,
    imports: &[String],
    installed: Option<&Origin>,
) -> String {
    let mut text = format!(
        "{} {}\n{}\nsha256 {digest}\n",
        output::printable(&description.name),
        output::printable(&description.version),
        output::printable(&description.summary)
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
    section("Installed", installed.map(Origin::rows).unwrap_or_default());
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
