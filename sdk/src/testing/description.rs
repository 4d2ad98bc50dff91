//! What the host demands of a description.

use std::collections::BTreeSet;

use crate::{Plugin, config};

/// Checks what a plugin says of itself: names well-formed and unique, conflicts between roots that exist, grants of a known sort, at least
/// one root and one intent, and a configuration that is an object, takes no unknown keys and may be left empty.
///
/// # Panics
/// Where one of these does not hold; the message says which.
pub fn check_description<P: Plugin>() {
    let description = P::describe();
    let (publisher, name) = description.name.split_once('/').unwrap_or_default();
    assert!(
        is_name(publisher) && is_name(name),
        "the name `{}` is not `publisher/name`",
        description.name
    );
    assert!(
        description.version.split('.').count() >= 3,
        "the version `{}` is not a semantic version",
        description.version
    );
    assert!(!description.summary.is_empty(), "there is no summary");

    let roots: BTreeSet<&str> = description
        .roots
        .iter()
        .map(|root| root.name.as_str())
        .collect();
    assert!(!roots.is_empty(), "there is no root");
    assert_eq!(
        roots.len(),
        description.roots.len(),
        "two roots share a name"
    );
    for root in &description.roots {
        assert!(is_name(&root.name), "`{}` is no root's name", root.name);
        for other in &root.conflicts {
            assert!(
                *other != root.name && roots.contains(other.as_str()),
                "`{}` conflicts with `{other}`, which is no other root",
                root.name
            );
        }
    }
    for capability in &description.capabilities {
        let grant = &capability.grant;
        assert!(
            ["run:", "probe:", "http:", "write:"]
                .iter()
                .any(|sort| grant.starts_with(sort)),
            "`{grant}` is no sort of grant"
        );
    }
    assert!(!description.intents.is_empty(), "there is no intent");

    let schema: serde_json::Value =
        serde_json::from_str(&config::schema::<P::Config>()).unwrap_or_default();
    assert_eq!(schema["type"], "object", "the configuration is no object");
    assert_eq!(
        schema["additionalProperties"], false,
        "the configuration lacks `#[serde(deny_unknown_fields)]`"
    );
    if let Err(failure) = config::parse::<P::Config>("{}") {
        panic!("the configuration may not be left empty: {failure}");
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
