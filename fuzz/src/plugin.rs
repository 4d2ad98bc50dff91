//! Whatever a plugin hands over, and what a snapshot says of it.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::OnceLock;

use copal_job::{Manifest, Schema, Settings, SettingsError};
use copal_sandbox::needs::{self, Use};
use copal_sandbox::placeholder::{self, Placeholder};
use copal_sandbox::types::{BackupPlan, Description, RestorePlan};
use copal_sandbox::{CapabilityPattern, Engine, EngineOptions, Grant, Grants, name, validate};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A component: it is loaded, or it is said what is wrong with it. Nothing of it runs.
pub fn component(bytes: &[u8]) -> bool {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new(EngineOptions::default()).expect("an engine"));
    let loaded = engine.load(bytes);
    if let Err(error) = &loaded {
        assert!(!error.to_string().is_empty());
    }
    loaded.is_ok()
}

/// What a plugin says of itself, as JSON.
pub fn description(bytes: &[u8]) -> bool {
    let Some(description) = passes::<Description>(bytes, validate::description) else {
        return false;
    };
    for capability in &description.capabilities {
        let pattern: CapabilityPattern = capability.grant.parse().expect("a pattern that passed");
        assert_eq!(pattern.to_string(), capability.grant);
        // An operator who allows just what it says allows some of it.
        if let Some(grant) = pattern.grant() {
            assert!(pattern.overlaps(&grant), "{grant}");
        }
    }
    true
}

fn roots() -> HashSet<String> {
    ["home", "dump", "plugins"].map(str::to_owned).into()
}

/// A plan for a backup of the roots `home`, `dump` and `plugins`, as JSON.
pub fn backup_plan(bytes: &[u8]) -> bool {
    let check = |plan| validate::backup_plan(plan, &roots());
    let Some(plan) = passes::<BackupPlan>(bytes, check) else {
        return false;
    };
    are_granted_exactly(&plan, needs::of_backup);
    true
}

/// A plan for a restore to the same roots from the stream `db.sql`, as JSON.
pub fn restore_plan(bytes: &[u8]) -> bool {
    let streams = HashSet::from(["db.sql".to_owned()]);
    let check = |plan| validate::restore_plan(plan, &roots(), &streams);
    let Some(plan) = passes::<RestorePlan>(bytes, check) else {
        return false;
    };
    are_granted_exactly(&plan, |plan| needs::of_restore(plan, &|_| false));
    are_granted_exactly(&plan, |plan| needs::of_safeguards(&plan.safeguards));
    true
}

/// A grant, a capability's pattern, a word with placeholders, and a name as the contract spells it.
pub fn grant(bytes: &[u8]) -> bool {
    assert_eq!(name::unescape(&name::escape(bytes)).expect("a name"), bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let value = |_: Placeholder<'_>| Some(String::new());
    let expanded = placeholder::expand(text, value);
    if let Ok(expanded) = &expanded {
        assert!(expanded.len() <= text.len());
    }
    let name = name::unescape(text);
    if let Ok(name) = &name {
        assert_eq!(name::escape(name), text);
    }
    let grant = text.parse::<Grant>();
    if let Ok(grant) = &grant {
        assert_eq!(grant.to_string().parse().as_ref(), Ok(grant));
    }
    let pattern = text.parse::<CapabilityPattern>();
    if let Ok(pattern) = &pattern {
        assert_eq!(pattern.to_string().parse().as_ref(), Ok(pattern));
    }
    // Only a setting tells them apart.
    assert!(grant.is_ok() == pattern.is_ok() || text.contains("{setting:"));
    pattern.is_ok()
}

/// Settings on the first line, and the schema that a plugin gives for them: what it calls secret is not shown.
pub fn schema(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let (values, schema) = text.split_once('\n').unwrap_or_default();
    let Ok(schema) = Schema::parse(schema) else {
        return false;
    };
    let Ok(Value::Object(values)) = serde_json::from_str(values) else {
        return false;
    };
    let given = Settings {
        values,
        ..Settings::default()
    };
    let shown = Value::Object(schema.redact(&given.values, &given));
    for pointer in schema.write_only(&given.values) {
        let shown = shown.pointer(&pointer);
        assert!(shown.is_none_or(|shown| shown == "***"), "{pointer}");
    }
    let value = Value::Object(given.values);
    let mut fits = schema.mismatches(&value, &|_, _| Ok(())).is_empty();
    for key in value
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
    {
        let words = vec![(key.clone(), "1".to_owned()), (key.clone(), "x".to_owned())];
        let refused = matches!(
            schema.settings(&words.into()),
            Err(SettingsError::Unknown { .. })
        );
        fits &= !refused;
    }
    fits
}

/// The manifest of a snapshot. Its names become parts of paths.
pub fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return false;
    };
    let roots = manifest.roots.iter().map(|root| &root.name);
    for name in roots
        .chain(&manifest.streams)
        .chain(&manifest.operator_streams)
    {
        let is_name = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\0']);
        assert!(is_name, "{name:?}");
    }
    let written = serde_json::to_value(&manifest).expect("it can be written");
    let read = Manifest::parse(written.to_string().as_bytes()).expect("and read");
    assert_eq!(serde_json::to_value(&read).expect("and written"), written);
    true
}

/// What of an answer passes the contract's rules. What has passed does so again, and has every path within its root.
fn passes<T: Clone + PartialEq + Debug + Serialize + DeserializeOwned>(
    bytes: &[u8],
    check: impl Fn(T) -> Result<T, String>,
) -> Option<T> {
    let answer: T = serde_json::from_slice(bytes).ok()?;
    let passed = check(answer).ok()?;
    assert_eq!(check(passed.clone()).as_ref(), Ok(&passed));
    let mut shown = serde_json::to_value(&passed).expect("it can be shown");
    visit(&mut shown, &mut |value| {
        if let (Some(_), Some(Value::String(path))) = (value.get("base"), value.get("path")) {
            let stays = !path.starts_with('/') && path.split('/').all(|name| name != "..");
            assert!(stays, "{path:?}");
        }
    });
    Some(passed)
}

/// The grant that is shown for a need allows it, also once it was written down, and not the same command with another word.
fn are_granted_exactly<T: Serialize + DeserializeOwned>(plan: &T, uses: impl Fn(&T) -> Vec<Use>) {
    let mut other = serde_json::to_value(plan).expect("it can be shown");
    visit(&mut other, &mut |value| {
        if let Some(Value::Array(words)) = value.get_mut("argv") {
            words.push("--more".into());
        }
    });
    let other = serde_json::from_value(other).expect("it can be read");
    for (used, other) in uses(plan).iter().zip(uses(&other)) {
        let grant = used.need.grant();
        let read: Grant = grant.to_string().parse().expect("a grant as it is shown");
        assert_eq!(read, grant);
        let grants = Grants::from_iter([read]);
        assert!(grants.allow(&used.need), "{grant}");
        assert!(!grants.allow(&other.need) || other == *used, "{grant}");
    }
}

/// Visits every value, those that others consist of first.
fn visit(value: &mut Value, take: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, take)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, take)),
        _ => {}
    }
    take(value);
}
