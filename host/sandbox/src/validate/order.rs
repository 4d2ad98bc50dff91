//! Order between sources, and between placements.

use std::collections::HashMap;

use super::{Rule, rule, unique};
use crate::text::clean;

/// Sorts items so that each stands behind those that it names in `after`; otherwise their order stays. `key` says an item's name and what
/// it comes after.
pub(super) fn sort<T>(
    items: Vec<T>,
    what: &str,
    key: impl Fn(&T) -> (&String, &Vec<String>),
) -> Rule<Vec<T>> {
    unique(
        &format!("{what}s"),
        items.iter().map(|item| key(item).0.as_str()),
    )?;
    let places: HashMap<_, _> = items
        .iter()
        .enumerate()
        .map(|(i, item)| (key(item).0.clone(), i))
        .collect();
    for item in &items {
        let (name, after) = key(item);
        for other in after {
            rule(places.contains_key(other), || {
                format!(
                    "the {what} `{name}` comes after `{}`, which is not there",
                    clean(other, 255)
                )
            })?;
        }
    }
    let mut waiting: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let mut sorted = Vec::with_capacity(waiting.len());
    while sorted.len() < waiting.len() {
        let free = |item: &T| {
            key(item).1.iter().all(|after| {
                places
                    .get(after)
                    .is_some_and(|&i| waiting.get(i).is_some_and(Option::is_none))
            })
        };
        let next = waiting
            .iter()
            .position(|item| item.as_ref().is_some_and(free));
        let Some(item) = next.and_then(|i| waiting.get_mut(i)?.take()) else {
            let names: Vec<_> = waiting
                .iter()
                .flatten()
                .map(|item| format!("`{}`", key(item).0))
                .collect();
            return Err(format!(
                "each of these {what}s comes after another of them: {}",
                names.join(", ")
            ));
        };
        sorted.push(item);
    }
    Ok(sorted)
}
