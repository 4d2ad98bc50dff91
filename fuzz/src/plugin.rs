//! Whatever a plugin hands over, and what a snapshot says of it.

use std::collections::HashSet;
use std::sync::OnceLock;

use copal_job::Manifest;
use copal_sandbox::placeholder::{self, Placeholder};
use copal_sandbox::types::{BackupPlan, Description, RestorePlan};
use copal_sandbox::{
    CapabilityPattern, Engine, EngineOptions, Grant, Grants, name, needs, validate,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A component: it is loaded, or it is said what is wrong with it. Nothing of it runs.
pub fn component(bytes: &[u8]) {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new(EngineOptions::default()).expect("an engine"));
    if let Err(error) = engine.load(bytes) {
        assert!(!error.to_string().is_empty());
    }
}

/// What a plugin says of itself, as JSON.
pub fn description(bytes: &[u8]) {
    let Some(description) = passes::<Description>(bytes, validate::description) else {
        return;
    };
    for capability in &description.capabilities {
        let pattern: CapabilityPattern = capability.grant.parse().expect("a pattern that passed");
        assert_eq!(pattern.to_string(), capability.grant);
        // An operator who allows just what it says allows some of it.
        if let Some(grant) = pattern.grant() {
            assert!(pattern.overlaps(&grant), "{grant}");
        }
    }
}

/// A plan for a backup of the root `home`, as JSON.
pub fn backup_plan(bytes: &[u8]) {
    let roots = HashSet::from(["home".to_owned()]);
    let Some(plan) = passes::<BackupPlan>(bytes, |plan| validate::backup_plan(plan, &roots)) else {
        return;
    };
    for used in needs::of_backup(&plan) {
        is_granted_exactly(&used);
    }
}

/// A plan for a restore to the root `home` with the stream `db.sql`, as JSON.
pub fn restore_plan(bytes: &[u8]) {
    let roots = HashSet::from(["home".to_owned()]);
    let streams = HashSet::from(["db.sql".to_owned()]);
    let check = |plan| validate::restore_plan(plan, &roots, &streams);
    let Some(plan) = passes::<RestorePlan>(bytes, check) else {
        return;
    };
    let uses = needs::of_restore(&plan, &|_| false).into_iter();
    for used in uses.chain(needs::of_safeguards(&plan.safeguards)) {
        is_granted_exactly(&used);
    }
}

/// A grant, a capability's pattern, a word with placeholders, and a name as the contract spells it.
pub fn grant(bytes: &[u8]) {
    assert_eq!(name::unescape(&name::escape(bytes)).expect("a name"), bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(grant) = text.parse::<Grant>() {
        assert_eq!(grant.to_string().parse(), Ok(grant));
    }
    if let Ok(pattern) = text.parse::<CapabilityPattern>() {
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }
    let value = |_: Placeholder<'_>| Some(String::new());
    if let Ok(expanded) = placeholder::expand(text, value) {
        assert!(expanded.len() <= text.len());
    }
    if let Ok(bytes) = name::unescape(text) {
        assert_eq!(name::escape(&bytes), text);
    }
}

/// The manifest of a snapshot.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return;
    };
    for root in &manifest.roots {
        assert!(!root.name.contains(['/', '\0']) && root.name != "..");
    }
    for name in manifest.streams.iter().chain(&manifest.operator_streams) {
        assert!(!name.contains(['/', '\0']) && name != "..");
    }
    let written = serde_json::to_vec(&manifest).expect("it can be written");
    Manifest::parse(&written).expect("and read");
}

/// What of an answer passes the contract's rules. What has passed does so again, and has every path within its root.
fn passes<T: Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned>(
    bytes: &[u8],
    check: impl Fn(T) -> Result<T, String>,
) -> Option<T> {
    let answer: T = serde_json::from_slice(bytes).ok()?;
    let passed = check(answer).ok()?;
    assert_eq!(check(passed.clone()).as_ref(), Ok(&passed));
    let shown = serde_json::to_value(&passed).expect("it can be shown");
    assert!(stays_inside(&shown), "{shown}");
    Some(passed)
}

/// Whether no location leads out of its base.
fn stays_inside(value: &Value) -> bool {
    let here = match (value.get("base"), value.get("path")) {
        (Some(_), Some(Value::String(path))) => {
            !path.starts_with('/') && path.split('/').all(|name| name != "..")
        }
        _ => true,
    };
    here && match value {
        Value::Array(items) => items.iter().all(stays_inside),
        Value::Object(fields) => fields.values().all(stays_inside),
        _ => true,
    }
}

/// The grant that is shown for a need allows it, also once it was written down.
fn is_granted_exactly(used: &needs::Use) {
    let grant = used.need.grant();
    let read: Grant = grant.to_string().parse().expect("a grant as it is shown");
    assert_eq!(read, grant);
    assert!(Grants::from_iter([read]).allow(&used.need), "{grant}");
}
