//! `copal plugin list`

use std::process::ExitCode;

use copal_trust::Installed;
use serde::Serialize;

use crate::session::Session;
use crate::{Outcome, bundled, output};

/// A plugin that can be used by its name.
#[derive(Serialize)]
struct Row {
    name: String,
    version: String,
    summary: String,
    digest: String,
    /// `copal` itself, or who signed it.
    publisher: Option<String>,
    /// Why its publisher took it back.
    revoked: Option<String>,
    /// Why it can't be used as it lies there.
    problem: Option<String>,
    /// Where it was installed from.
    from: Option<String>,
}

pub(crate) fn run(session: &Session) -> Outcome {
    let engine = session.engine()?;
    let mut rows = Vec::new();
    for (_, component) in bundled::all() {
        let plugin = engine.load(component)?;
        let description = plugin.describe()?;
        rows.push(Row {
            name: description.name.clone(),
            version: description.version.clone(),
            summary: description.summary.clone(),
            digest: plugin.digest().to_owned(),
            publisher: Some("copal".to_owned()),
            revoked: None,
            problem: None,
            from: None,
        });
    }
    for installed in session.trust.list()? {
        rows.push(row(&installed, session));
    }
    if session.global.json {
        output::json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["Plugin", "Version", "Publisher", "Summary"]);
    for row in &rows {
        let publisher = match (&row.publisher, &row.revoked, &row.problem) {
            (_, Some(reason), _) => format!("REVOKED: {reason}"),
            (_, None, Some(problem)) => format!("DAMAGED: {problem}"),
            (Some(publisher), ..) if row.from.is_none() => format!("{publisher} (embedded)"),
            (Some(publisher), ..) => publisher.clone(),
            (None, ..) => "unsigned".to_owned(),
        };
        let cells = [&row.name, &row.version, &publisher, &row.summary];
        table.add_row(cells.map(|cell| output::printable(cell)));
    }
    output::print(&output::table_text(&table))?;
    Ok(ExitCode::SUCCESS)
}

/// One that is damaged does not hide the others.
fn row(installed: &Installed, session: &Session) -> Row {
    let (name, digest) = (&installed.name, &installed.digest);
    let revoked = session.trust.revoked(name, digest, None);
    let statement = installed.statement();
    let problem = revoked.as_ref().err().or(statement.as_ref().err());
    Row {
        problem: problem.map(ToString::to_string),
        name: name.to_string(),
        version: installed.version.to_string(),
        summary: statement
            .ok()
            .flatten()
            .map(|s| s.description)
            .unwrap_or_default(),
        digest: digest.clone(),
        publisher: (!installed.unsigned).then(|| name.publisher().to_owned()),
        revoked: revoked.ok().flatten().map(|revocation| revocation.reason),
        from: Some(installed.from.clone()),
    }
}
