//! Checks that a restored Jpom is whole and agrees with itself.

use copal_sdk::{Failure, Finding, Intent, VerifyRequest};

use crate::config::Config;
use crate::facts::{self, Consistency};
use crate::layout::{CONF, Kind, join};
use crate::restore::IDENTITY_STEP;
use crate::sql::Report;
use crate::survey::{Mode, Survey, main_tree};

pub(crate) fn verify(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
    let main = main_tree(&request.targets)?;
    let saved_at = facts::root_location(&request.facts)?;
    let conf = request.targets.get(CONF);
    let survey = Survey::of(main, conf, &[&main.location(), &saved_at])?;
    let captured = request
        .captures
        .iter()
        .find(|capture| capture.step == IDENTITY_STEP);
    let report = captured.map(|capture| Report::parse(&capture.output));

    let mut findings = missing_parts(request)?;
    findings.extend(survey.problems.iter().cloned());
    findings.extend(layout(request, &survey)?);
    findings.extend(header(request, &survey, captured.is_some())?);
    match identity(request, &survey)? {
        Err(finding) => findings.push(finding),
        Ok(id) => match report {
            Some(Some(report)) => findings.extend(agreement(request.intent, &id, &report)),
            Some(None) => findings.push(Finding::error(
                "jpom.verify.report",
                "The script that was run on the database did not tell the ids in it, so whether they agree is not known.",
            )),
            None if survey.mode == Mode::H2 => findings.push(
                Finding::info("jpom.verify.unread", format!("INSTALL.json holds the id {id}; the ids in the database were not read."))
                    .remedy("Set `java` and `h2_jar` to have them compared."),
            ),
            None => {}
        },
    }
    Ok(findings)
}

fn missing_parts(request: &VerifyRequest<'_, Config>) -> Result<Vec<Finding>, Failure> {
    let parts: Vec<String> = request.facts.get(facts::PARTS)?.unwrap_or_default();
    let mut findings = Vec::new();
    for part in parts {
        let (root, path) = part.split_once('/').unwrap_or((&part, ""));
        let there = match request.targets.get(root) {
            Some(tree) => tree.exists(path)?,
            None => false,
        };
        if !there {
            findings.push(
                Finding::error("jpom.verify.missing", "This was saved and is not there.").at(part),
            );
        }
    }
    Ok(findings)
}

fn layout(
    request: &VerifyRequest<'_, Config>,
    survey: &Survey,
) -> Result<Option<Finding>, Failure> {
    let saved: Option<Kind> = request.facts.get(facts::LAYOUT)?;
    let now = survey.layout.as_ref().map(|layout| layout.kind());
    let same = saved.is_none() || saved == now;
    Ok((!same).then(|| {
        Finding::error(
            "jpom.verify.layout",
            "Jpom's folder is not where it was in its root.",
        )
        .remedy("Restore into an empty folder.")
    }))
}

/// An unclean header says that somebody opened the database since, unless it was saved so.
fn header(
    request: &VerifyRequest<'_, Config>,
    survey: &Survey,
    rewritten: bool,
) -> Result<Option<Finding>, Failure> {
    let Some(database) = &survey.database else {
        return Ok(None);
    };
    let at = survey
        .layout
        .as_ref()
        .map(|layout| join(&layout.root, &database.file()));
    let at = at.unwrap_or_default();
    let header = match &database.header {
        Ok(header) => header,
        Err(error) => {
            let message = format!("The restored database can't be read: {error}.");
            return Ok(Some(Finding::error("jpom.verify.header", message).at(at)));
        }
    };
    if header.clean {
        return Ok(None);
    }
    let closed: Option<bool> = request.facts.get(facts::H2_CLEAN)?;
    let how: Option<Consistency> = request.facts.get(facts::CONSISTENCY)?;
    let changed = rewritten && request.intent != Intent::Recover;
    let saved_clean = closed == Some(true) && how != Some(Consistency::Quiesced);
    Ok(Some(if changed || saved_clean {
        Finding::error("jpom.verify.open", "The restored database is open, so something started Jpom in the middle of the restore.")
            .remedy("Stop Jpom and restore again.")
            .at(at)
    } else {
        Finding::warning("jpom.verify.unclean", "The restored database was not closed properly before it was saved; H2 repairs it when it opens it.").at(at)
    }))
}

/// The id in `INSTALL.json`, if it is the one that the intent asks for.
fn identity(
    request: &VerifyRequest<'_, Config>,
    survey: &Survey,
) -> Result<Result<String, Finding>, Failure> {
    let Some(id) = survey.id() else {
        return Ok(Err(Finding::error(
            "jpom.verify.install",
            "There is no valid INSTALL.json, so Jpom would make itself a new identity.",
        )));
    };
    let saved: Option<String> = request.facts.get(facts::INSTALL_ID)?;
    let same = saved.as_ref().is_none_or(|saved| saved == id);
    Ok(match request.intent {
        Intent::Recover | Intent::Migrate if !same => Err(Finding::error(
            "jpom.verify.identity",
            format!("INSTALL.json holds the id {id} and not the one that was saved."),
        )),
        Intent::Clone if saved.is_some() && same => Err(Finding::error(
            "jpom.verify.identity",
            "INSTALL.json holds the id of the original, and a clone must have its own.",
        )),
        _ => Ok(id.to_owned()),
    })
}

/// Whether the database knows the id and binds the workspaces to it.
fn agreement(intent: Intent, id: &str, report: &Report) -> Vec<Finding> {
    let mut findings = Vec::new();
    let severe = |code: &str, message: String| match intent {
        // What a recovery brings back is as it was.
        Intent::Recover => Finding::warning(code, message),
        Intent::Migrate | Intent::Clone => Finding::error(code, message),
    };
    if !report.clusters.is_empty() && !report.clusters.iter().any(|cluster| cluster == id) {
        findings.push(severe(
            "jpom.verify.cluster",
            format!(
                "INSTALL.json holds the id {id}, but CLUSTER_INFO holds only {}.",
                report.clusters.join(", ")
            ),
        ));
    }
    let elsewhere: Vec<&String> = report
        .workspaces
        .iter()
        .filter(|bound| *bound != id)
        .collect();
    let lost = elsewhere
        .iter()
        .filter(|bound| !report.clusters.contains(bound))
        .count();
    if intent == Intent::Clone && !elsewhere.is_empty() {
        findings.push(severe(
            "jpom.verify.workspace",
            format!(
                "{} workspaces are bound to another id than the clone's, {id}.",
                elsewhere.len()
            ),
        ));
    } else if lost > 0 {
        findings.push(
            Finding::warning(
                "jpom.verify.workspace",
                format!("{lost} workspaces are bound to clusters that do not exist."),
            )
            .remedy("Bind them in Jpom's own settings of its workspaces."),
        );
    }
    if findings.is_empty() {
        let bound = report
            .workspaces
            .iter()
            .filter(|bound| *bound == id)
            .count();
        findings.push(Finding::info(
            "jpom.verify.agrees",
            format!("INSTALL.json and the database agree on the id {id}; {bound} workspaces are bound to it."),
        ));
    }
    findings
}
