//! Plans as a hostile plugin may hand them over: sound ones with a few of their leaves replaced.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::{backup_plan, path, restore_plan};

const HOSTILE: [&str; 22] = [
    "",
    "/",
    "..",
    "a/../../b",
    "./a",
    "a//b",
    "a\0b",
    r"\x2f",
    r"\",
    "{root:home}",
    "{root:other}/a",
    "{scratch}/../a",
    "{",
    "}}{",
    "{secret:password}",
    "home",
    "-rf",
    "\u{1b}[2J\r\n",
    "\u{202e}txt.exe",
    "file:///etc/shadow",
    "http://[::1",
    "9999999999999999999999",
];

/// What one leaf of a plan becomes.
#[derive(Debug, Clone)]
enum Mutation {
    Text(String),
    Number(u64),
    /// A list that has its first item twice.
    Doubled,
    /// Nothing, or a list without items.
    Emptied,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let number = select(vec![
        0,
        1,
        599,
        604_801,
        u64::from(u16::MAX),
        u64::from(u32::MAX),
    ]);
    prop_oneof![
        4 => select(&HOSTILE[..]).prop_map(|text| Mutation::Text(text.to_owned())),
        1 => any::<String>().prop_map(Mutation::Text),
        1 => (200..70_000_usize).prop_map(|length| Mutation::Text("x".repeat(length))),
        1 => number.prop_map(Mutation::Number),
        1 => Just(Mutation::Doubled),
        1 => Just(Mutation::Emptied),
    ]
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

fn mutate(plan: &mut Value, at: Index, mutation: &Mutation) {
    let mut count = 0;
    visit(plan, &mut |_| count += 1);
    let mut left = at.index(count);
    visit(plan, &mut |value| {
        if left == 0 {
            match (mutation, &mut *value) {
                (Mutation::Text(text), Value::String(old)) => old.clone_from(text),
                (Mutation::Number(number), Value::Number(_)) => *value = json!(number),
                (Mutation::Doubled, Value::Array(items)) => items.extend(items.first().cloned()),
                (Mutation::Emptied, Value::Array(items)) => items.clear(),
                (Mutation::Emptied, Value::String(text)) => text.clear(),
                _ => {}
            }
        }
        left = left.wrapping_sub(1);
    });
}

/// What holds of a plan that is carried out.
fn check(mut plan: Value) -> Result<(), TestCaseError> {
    let mut broken = None;
    visit(&mut plan, &mut |value| {
        if let (Some(_), Some(Value::String(location))) = (value.get("base"), value.get("path")) {
            let stays = !location.split('/').any(|name| name == "..") && !location.starts_with('/');
            if !stays || path(location).is_err() {
                broken = Some(format!("the path {location:?}"));
            }
        }
        if let Some(seconds) = value.get("timeout").and_then(Value::as_u64)
            && !(1..=604_800).contains(&seconds)
        {
            broken = Some(format!("a timeout of {seconds}"));
        }
        for text in ["title", "message"].map(|name| value.get(name)) {
            if let Some(Value::String(text)) = text
                && text.contains(['\u{1b}', '\r', '\0', '\u{202e}'])
            {
                broken = Some(format!("the text {text:?}"));
            }
        }
        if let Some(Value::Array(argv)) = value.get("argv")
            && argv.first().is_none_or(|program| program == "")
        {
            broken = Some("a command without a program".to_owned());
        }
    });
    prop_assert_eq!(broken, None);
    Ok(())
}

fn command() -> Value {
    json!({"argv": ["pg_dump", "{root:home}/a"], "environment": [{"name": "PGUSER", "value": [{"plain": "copal"}]}],
        "stdin": null, "descriptors": [], "timeout": 60})
}

fn steps() -> Value {
    let home = |path: &str| json!({"base": {"root": "home"}, "path": path});
    let scratch = |path: &str| json!({"base": "scratch", "path": path});
    let request = json!({"method": "GET", "url": "http://127.0.0.1/health", "headers": [], "body": null, "expect": [200], "timeout": 5});
    let actions = [
        json!({"run": command()}),
        json!({"write": {"to": scratch("a"), "content": [{"plain": "text"}], "mode": 0o600}}),
        json!({"copy": {"from": home("data/a"), "to": scratch("b")}}),
        json!({"rename": {"from": scratch("b"), "to": scratch("c")}}),
        json!({"remove": scratch("c")}),
        json!({"http": request}),
        json!({"wait": {"condition": {"responds": request}, "interval": 1, "timeout": 60}}),
    ];
    let step = |(number, action): (usize, &Value)| json!({"id": format!("step-{number}"), "title": "Do it", "action": action, "undo": action, "capture": false});
    actions.iter().enumerate().map(step).collect()
}

fn finding() -> Value {
    json!({"severity": "warning", "code": "a.b.c", "message": "Look.", "remedy": "Do.", "path": "data/a"})
}

fn backup() -> Value {
    json!({"findings": [finding()], "facts": [{"name": "installId", "value": "\"1\""}], "quiesce": steps(), "sources": [
        {"name": "files", "after": [], "window": "quiesced", "content": {"tree": "home"}},
        {"name": "database", "after": ["files"], "window": "quiesced",
            "content": {"command": {"name": "db.sql", "command": command(), "filter": true}}},
    ]})
}

fn restore() -> Value {
    json!({"findings": [finding()], "before": steps(), "after": [], "safeguards": [
        {"name": "old.sql", "save": command(), "put_back": command()},
    ], "placements": [
        {"name": "files", "after": [], "content": {"tree": "home"}},
        {"name": "database", "after": ["files"],
            "content": {"feed": {"name": "db.sql", "command": command(), "filter": false}}},
    ]})
}

fn roots() -> HashSet<String> {
    HashSet::from(["home".to_owned()])
}

fn streams() -> HashSet<String> {
    HashSet::from(["db.sql".to_owned()])
}

#[test]
fn the_plans_to_begin_with_are_sound() {
    let plan = serde_json::from_value(backup()).unwrap();
    backup_plan(plan, &roots()).unwrap();
    let plan = serde_json::from_value(restore()).unwrap();
    restore_plan(plan, &roots(), &streams()).unwrap();
}

proptest! {
    // More of them with the variable `PROPTEST_CASES`.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2_000)))]

    #[test]
    fn what_passes_is_fit_to_be_carried_out(
        restores: bool,
        mutations in prop::collection::vec((any::<Index>(), mutation()), 1..4),
    ) {
        let mut plan = if restores { restore() } else { backup() };
        for (at, mutation) in &mutations {
            mutate(&mut plan, *at, mutation);
        }
        // A number may be larger than its type, which the boundary itself does not let through.
        if restores {
            if let Ok(plan) = serde_json::from_value(plan)
                && let Ok(plan) = restore_plan(plan, &roots(), &streams())
            {
                check(serde_json::to_value(plan).unwrap())?;
            }
        } else if let Ok(plan) = serde_json::from_value(plan)
            && let Ok(plan) = backup_plan(plan, &roots())
        {
            check(serde_json::to_value(plan).unwrap())?;
        }
    }
}
