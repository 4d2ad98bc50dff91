//! Whether a grant allows anything that a capability covers.

use std::collections::HashSet;

use super::Rule;
use super::address::{AddressRule, HostRule, Method};
use super::command::{CommandRule, Element, Names};
use super::word::Pattern;

impl Rule {
    /// Whether there is anything that both cover, whatever the settings are.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Command { probe, command },
                Self::Command {
                    probe: other_probe,
                    command: other,
                },
            ) => probe == other_probe && command.overlaps(other),
            (
                Self::Http { method, to },
                Self::Http {
                    method: other_method,
                    to: other,
                },
            ) => {
                let any = *method == Method::Any || *other_method == Method::Any;
                (any || method == other_method) && to.overlaps(other)
            }
            // Each covers what lies beneath it, so the shorter path decides.
            (Self::Write(names), Self::Write(others)) => overlap_each(names, others),
            _ => false,
        }
    }
}

impl CommandRule {
    fn overlaps(&self, other: &Self) -> bool {
        self.has_variables_of(other)
            && other.has_variables_of(self)
            && words_overlap(&Item::list(&self.elements), &Item::list(&other.elements))
    }

    /// Whether this covers commands that set the variables which `other` insists on.
    fn has_variables_of(&self, other: &Self) -> bool {
        let takes = |name: &String| {
            self.variables.iter().any(|own| match &own.name {
                Names::One(own) => own == name,
                Names::Settings(_) => true,
            })
        };
        other.variables.iter().all(|variable| match &variable.name {
            Names::One(name) => variable.optional || takes(name),
            Names::Settings(_) => true,
        })
    }
}

/// A word of a command, and where a group of words that begins here and may be left out ends.
struct Item<'a> {
    words: Words<'a>,
    skip: Option<usize>,
}

enum Words<'a> {
    Program(&'a Pattern),
    One(&'a Pattern),
    /// Those of a setting, one or more.
    Setting,
}

impl<'a> Item<'a> {
    fn list(elements: &'a [Element]) -> Vec<Self> {
        let mut items = Vec::new();
        for element in elements {
            match element {
                // Groups do not stand within groups.
                Element::Optional(within) => {
                    let (begin, mut group) = (items.len(), Self::list(within));
                    let end = begin + group.len();
                    if let Some(first) = group.first_mut() {
                        first.skip = Some(end);
                    }
                    items.append(&mut group);
                }
                Element::Program(pattern) => items.push(Self::of(Words::Program(pattern))),
                Element::Word(pattern) => items.push(Self::of(Words::One(pattern))),
                Element::Settings(_) => items.push(Self::of(Words::Setting)),
            }
        }
        items
    }

    fn of(words: Words<'a>) -> Self {
        Self { words, skip: None }
    }

    /// Whether one word may stand in both places.
    fn overlaps(&self, other: &Self) -> bool {
        match (&self.words, &other.words) {
            (Words::Setting, _) | (_, Words::Setting) => true,
            (Words::Program(one), Words::Program(other)) => one.program_overlaps(other),
            (Words::One(one), Words::One(other)) => one.overlaps(other),
            (Words::Program(one), Words::One(other)) | (Words::One(one), Words::Program(other)) => {
                one.program_overlaps(other) || one.overlaps(other)
            }
        }
    }
}

/// Whether one command may be of both forms.
fn words_overlap(one: &[Item<'_>], other: &[Item<'_>]) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![(0, 0)];
    while let Some(places) = open.pop() {
        if !seen.insert(places) {
            continue;
        }
        let (at, other_at) = places;
        let (item, other_item) = (one.get(at), other.get(other_at));
        if item.is_none() && other_item.is_none() {
            return true;
        }
        open.extend(item.and_then(|item| item.skip).map(|skip| (skip, other_at)));
        let skip = other_item.and_then(|item| item.skip);
        open.extend(skip.map(|skip| (at, skip)));
        if let (Some(item), Some(other_item)) = (item, other_item)
            && item.overlaps(other_item)
        {
            open.push((at + 1, other_at + 1));
            if matches!(item.words, Words::Setting) {
                open.push((at, other_at + 1));
            }
            if matches!(other_item.words, Words::Setting) {
                open.push((at + 1, other_at));
            }
        }
    }
    false
}

impl AddressRule {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::To { host, port },
                Self::To {
                    host: other_host,
                    port: other_port,
                },
            ) => {
                let any = port.is_none() || other_port.is_none();
                (any || port == other_port) && host.overlaps(other_host)
            }
            (Self::Setting(_), _) | (_, Self::Setting(_)) => true,
        }
    }
}

impl HostRule {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (
                Self::Name { beneath, labels },
                Self::Name {
                    beneath: other_beneath,
                    labels: others,
                },
            ) => {
                let long_enough = match (beneath, other_beneath) {
                    (true, true) => true,
                    (true, false) => others.len() > labels.len(),
                    (false, true) => labels.len() > others.len(),
                    (false, false) => labels.len() == others.len(),
                };
                let mut pairs = labels.iter().rev().zip(others.iter().rev());
                long_enough && pairs.all(|(label, other)| label.overlaps(other))
            }
            (Self::V4(octets), Self::V4(others)) => overlap_each(octets, others),
            (Self::V6(address), Self::V6(other)) => address == other,
            _ => false,
        }
    }
}

fn overlap_each(patterns: &[Pattern], others: &[Pattern]) -> bool {
    let mut pairs = patterns.iter().zip(others);
    pairs.all(|(pattern, other)| pattern.overlaps(other))
}

impl Pattern {
    /// Whether one word may be of both forms, where neither lets an option in by a wildcard.
    fn overlaps(&self, other: &Self) -> bool {
        let keeps_out = |wide: &Self, narrow: &Self| {
            let sign = narrow.parts().first().and_then(|part| part.chars().next());
            let sign = sign.filter(|sign| matches!(sign, '-' | '@'));
            wide.literal().is_none() && sign.is_some_and(|sign| !wide.begins_with(sign))
        };
        if keeps_out(self, other) || keeps_out(other, self) {
            return false;
        }
        let folder = |pattern: &Self| matches!(pattern.parts(), [first, next, ..] if first.is_empty() && next.starts_with('/'));
        let (own, others) = (self.tokens(), other.tokens());
        let beneath = |tokens: &[Option<char>]| [&[Some('/')], tokens].concat();
        tokens_overlap(&own, &others)
            || (folder(self) && tokens_overlap(&own, &beneath(&others)))
            || (folder(other) && tokens_overlap(&beneath(&own), &others))
    }

    /// Whether one program may be of both forms.
    fn program_overlaps(&self, other: &Self) -> bool {
        let in_any_folder = |names: &[Self]| matches!(names, [first, _, ..] if first.is_any());
        let (mut names, mut others) = (self.split('/'), other.split('/'));
        let (any, other_any) = (in_any_folder(&names), in_any_folder(&others));
        for (names, any) in [(&mut names, any), (&mut others, other_any)] {
            if any {
                names.remove(0);
            }
        }
        let long_enough = match (any, other_any) {
            (true, true) => true,
            (true, false) => others.len() >= names.len(),
            (false, true) => names.len() >= others.len(),
            (false, false) => names.len() == others.len(),
        };
        let mut pairs = names.iter().rev().zip(others.iter().rev());
        long_enough && pairs.all(|(name, other)| tokens_overlap(&name.tokens(), &other.tokens()))
    }

    fn begins_with(&self, sign: char) -> bool {
        let first = self.parts().first();
        first.is_some_and(|first| first.starts_with(sign))
    }

    /// The characters, none for a `*`.
    fn tokens(&self) -> Vec<Option<char>> {
        let mut tokens = Vec::new();
        for (i, part) in self.parts().iter().enumerate() {
            if i > 0 {
                tokens.push(None);
            }
            tokens.extend(part.chars().map(Some));
        }
        tokens
    }
}

/// Whether one text may be of both forms. Each place of a row says whether the beginnings that end there have a text in common.
fn tokens_overlap(one: &[Option<char>], other: &[Option<char>]) -> bool {
    let at = |row: &[bool], place: Option<usize>| {
        let place = place.and_then(|place| row.get(place));
        place.copied().unwrap_or(false)
    };
    let before_first = std::iter::once(None);
    let columns: Vec<_> = before_first
        .clone()
        .chain(other.iter().copied().map(Some))
        .collect();
    let mut above = Vec::new();
    for own in before_first.chain(one.iter().copied().map(Some)) {
        let mut row: Vec<bool> = Vec::with_capacity(columns.len());
        for (place, theirs) in columns.iter().enumerate() {
            let before = place.checked_sub(1);
            row.push(match (own, *theirs) {
                (None, None) => true,
                // A `*` stands for nothing, or for one more of what the other has.
                (Some(None), _) | (_, Some(None)) => at(&above, Some(place)) || at(&row, before),
                (Some(own), Some(theirs)) => at(&above, before) && own == theirs,
                _ => false,
            });
        }
        above = row;
    }
    above.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use crate::grants::{CapabilityPattern, Grant};

    #[test]
    fn what_a_capability_and_a_grant_have_in_common_is_found() {
        for (capability, grant, expected) in [
            ("run:docker stop *", "run:docker stop app", true),
            ("run:docker stop *", "run:docker * app", true),
            ("run:docker stop *", "run:docker start app", false),
            ("run:docker stop *", "run:docker stop", false),
            ("run:docker stop *", "run:docker stop app now", false),
            ("run:docker stop *", "probe:docker stop app", false),
            ("run:docker stop *", "run:podman stop app", false),
            ("run:docker stop *", "run:docker stop --all", false),
            ("run:docker stop --all", "run:docker stop *", false),
            ("run:docker stop -t*", "run:docker stop -*5", true),
            ("run:x a*c", "run:x *b*", true),
            ("run:x a*c", "run:x *d", false),
            ("run:x *.service", "run:x nginx.*", true),
            ("run:x *.service", "run:x nginx.socket", false),
            (
                "run:systemctl [--user] stop x",
                "run:systemctl stop *",
                true,
            ),
            (
                "run:systemctl [--user] stop x",
                "run:systemctl --user stop x",
                true,
            ),
            (
                "run:systemctl [--user] stop x",
                "run:systemctl --global stop x",
                false,
            ),
            (
                "run:pg_dump [-h *] [-p *] *",
                "run:pg_dump [-p *] app",
                true,
            ),
            (
                "run:*/psql -d *",
                "run:/usr/lib/postgresql/15/bin/psql -d app",
                true,
            ),
            ("run:*/psql -d *", "run:psql -d app", true),
            ("run:psql -d *", "run:/usr/bin/psql -d app", false),
            ("run:*/psql -d *", "run:*/pg_dump -d app", false),
            (
                "run:java -cp {setting:jar} Main",
                "run:java -cp x y Main",
                true,
            ),
            (
                "run:java -cp {setting:jar} Main",
                "run:java -cp Main",
                false,
            ),
            ("run:PGPASSWORD= psql", "run:psql", false),
            ("run:[PGPASSWORD=] psql", "run:psql", true),
            ("run:psql", "run:PGPASSWORD= psql", false),
            ("run:{setting:env}= psql", "run:PGPASSWORD= psql", true),
            ("run:cat /etc/*", "run:cat */passwd", true),
            ("http:POST *:443", "http:* example.org:443", true),
            ("http:POST *:443", "http:GET example.org:443", false),
            ("http:POST *:443", "http:POST example.org:80", false),
            (
                "http:GET *.example.org:*",
                "http:GET example.org:443",
                false,
            ),
            (
                "http:GET *.example.org:*",
                "http:GET a.b.example.org:443",
                true,
            ),
            ("http:GET 10.0.0.*:80", "http:GET 10.*.0.1:80", true),
            ("http:GET 10.0.0.*:80", "http:GET 10.0.1.1:80", false),
            ("http:GET {setting:url}", "http:GET example.org:443", true),
            ("write:home/conf", "write:home/conf/db", true),
            ("write:home/conf/db", "write:home", true),
            ("write:home/*.d/x", "write:home/conf.*", true),
            ("write:home/conf", "write:home/data", false),
            ("write:home/conf", "run:conf", false),
        ] {
            let pattern: CapabilityPattern = capability.parse().unwrap();
            let given: Grant = grant.parse().unwrap();
            assert_eq!(
                pattern.overlaps(&given),
                expected,
                "{capability} and {grant}"
            );
        }
    }
}
