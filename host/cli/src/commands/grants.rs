//! `copal grants …`: what plugins may have done beyond a single run.

use std::process::ExitCode;

use copal_sandbox::CapabilityPattern;
use copal_trust::{PluginName, capability_hash, capability_lines};
use serde_json::json;

use crate::args::{GrantsAllowArgs, GrantsCommand, GrantsListArgs, GrantsRevokeArgs};
use crate::failure::Failure;
use crate::plugins::described;
use crate::session::Session;
use crate::{Outcome, output};

pub(super) fn run(command: &GrantsCommand, session: &Session) -> Outcome {
    match command {
        GrantsCommand::List(args) => list(args, session),
        GrantsCommand::Allow(args) => allow(args, session),
        GrantsCommand::Revoke(args) => revoke(args, session),
    }
}

fn list(args: &GrantsListArgs, session: &Session) -> Outcome {
    let mut approvals = session.trust.approvals()?;
    if let Some(name) = &args.name {
        let name = plugin_name(name)?;
        approvals.retain(|approval| approval.name == name);
    }
    if session.global.json {
        output::json(&approvals)?;
        return Ok(ExitCode::SUCCESS);
    }
    if approvals.is_empty() {
        output::print("Nothing is allowed for good: what a plan needs must be granted with it.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for approval in &approvals {
        text += &format!("{}, sha256 {}\n", approval.name, approval.digest);
        let grants = approval.grants.iter();
        text.extend(grants.map(|grant| format!("  {}\n", output::printable(grant))));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn allow(args: &GrantsAllowArgs, session: &Session) -> Outcome {
    let plugin = session.plugin(&session.engine()?, &args.name)?;
    let described = described(&plugin)?;
    let name: PluginName = described.name.parse()?;
    let lines = capability_lines(&described.imports, &described.capabilities);
    for grant in &args.grants {
        let mut declared = described.capabilities.iter();
        let covers = |pattern: CapabilityPattern| pattern.overlaps(grant);
        if !declared.any(|capability| capability.grant.parse().is_ok_and(covers)) {
            let message = format!("{name} never asks for what `{grant}` would allow");
            let advice = format!("`copal plugin info {name}` lists what it may ask for.");
            return Err(Failure::usage("approval", message).advise(advice));
        }
    }
    let grants: Vec<String> = args.grants.iter().map(ToString::to_string).collect();
    session
        .trust
        .allow(&name, plugin.digest(), &capability_hash(&lines), &grants)?;
    if session.global.json {
        output::json(&json!({"plugin": name, "digest": plugin.digest(), "allowed": grants}))?;
    } else {
        let lines: String = grants
            .iter()
            .map(|grant| format!("  {}\n", output::printable(grant)))
            .collect();
        output::print(&format!(
            "{name} may have this done until you revoke it\n{lines}"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: &GrantsRevokeArgs, session: &Session) -> Outcome {
    let name = plugin_name(&args.name)?;
    let grants: Vec<String> = args.grants.iter().map(ToString::to_string).collect();
    let revoked = session.trust.revoke(&name, &grants)?;
    if session.global.json {
        output::json(&json!({"plugin": name, "revoked": revoked}))?;
    } else {
        let lines: String = revoked
            .iter()
            .map(|grant| format!("  {}\n", output::printable(grant)))
            .collect();
        output::print(&format!("{name} may no longer have this done\n{lines}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The name in full: `jpom` is `copal/jpom`.
fn plugin_name(name: &str) -> Result<PluginName, Failure> {
    Ok(match crate::bundled::find(name) {
        Some(_) if !name.contains('/') => format!("copal/{name}").parse()?,
        _ => name.parse()?,
    })
}
