//! Names and numbers of users and groups, each asked for once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What the system's user database has answered so far.
#[derive(Default)]
pub(super) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
    uids: HashMap<String, Option<u32>>,
    gids: HashMap<String, Option<u32>>,
}

impl Names {
    /// The user's name, empty if it has none.
    pub(super) fn user(&mut self, uid: u32) -> String {
        let lookup = || uzers::get_user_by_uid(uid).map(|user| user.name().to_owned());
        let name = self.users.entry(uid).or_insert_with(|| {
            lookup().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        });
        name.clone()
    }

    /// The group's name, empty if it has none.
    pub(super) fn group(&mut self, gid: u32) -> String {
        let lookup = || uzers::get_group_by_gid(gid).map(|group| group.name().to_owned());
        let name = self.groups.entry(gid).or_insert_with(|| {
            lookup().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        });
        name.clone()
    }

    /// The number of the user of that name.
    pub(super) fn uid(&mut self, user: &str) -> Option<u32> {
        number(&mut self.uids, user, |name| {
            uzers::get_user_by_name(name).map(|user| user.uid())
        })
    }

    /// The number of the group of that name.
    pub(super) fn gid(&mut self, group: &str) -> Option<u32> {
        number(&mut self.gids, group, |name| {
            uzers::get_group_by_name(name).map(|group| group.gid())
        })
    }
}

/// Names come from repositories: an empty one or one with a NUL is nobody's.
fn number(
    known: &mut HashMap<String, Option<u32>>,
    name: &str,
    lookup: impl FnOnce(&str) -> Option<u32>,
) -> Option<u32> {
    if name.is_empty() || name.contains('\0') {
        return None;
    }
    match known.entry(name.to_owned()) {
        Entry::Occupied(entry) => *entry.get(),
        Entry::Vacant(entry) => *entry.insert(lookup(name)),
    }
}
