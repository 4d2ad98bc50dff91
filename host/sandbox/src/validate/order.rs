//! Order between sources, and between placements.

use std::collections::{BTreeSet, HashMap};

use super::{MAX_NAME, Rule, few, rule, unique};
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
        .map(|(place, item)| (key(item).0.as_str(), place))
        .collect();
    // For each item, how many it still waits for and which wait for it.
    let mut waits = Vec::with_capacity(items.len());
    let mut followers = vec![vec![]; items.len()];
    for (place, item) in items.iter().enumerate() {
        let (name, after) = key(item);
        few("items in one `after`", after)?;
        waits.push(after.len());
        for other in after {
            let before = places.get(other.as_str()).copied();
            match before.and_then(|before| followers.get_mut(before)) {
                Some(followers) => followers.push(place),
                None => {
                    return Err(format!(
                        "the {what} `{name}` comes after `{}`, which is not there",
                        clean(other, MAX_NAME)
                    ));
                }
            }
        }
    }
    let mut free: BTreeSet<_> = (0..items.len())
        .filter(|place| waits.get(*place) == Some(&0))
        .collect();
    let mut left: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let mut sorted = Vec::with_capacity(left.len());
    while let Some(place) = free.pop_first() {
        sorted.extend(left.get_mut(place).and_then(Option::take));
        for follower in followers.get(place).into_iter().flatten() {
            if let Some(count) = waits.get_mut(*follower) {
                *count -= 1;
                if *count == 0 {
                    free.insert(*follower);
                }
            }
        }
    }
    let names: Vec<_> = left
        .iter()
        .flatten()
        .map(|item| format!("`{}`", key(item).0))
        .collect();
    rule(names.is_empty(), || {
        format!(
            "each of these {what}s comes after another of them: {}",
            names.join(", ")
        )
    })?;
    Ok(sorted)
}
