//! Filters: the same bytes in, the same bytes out.

use copal_sandbox::types::{Direction, Entry, Member};
use copal_sandbox::{Error, Pass};

use super::{Run, rules};
use crate::filter::{Filtered, chunks};
use crate::hostile;
use crate::noise::Cuts;

/// What came of a content: an output, or the code of a failure.
type Came = Result<Filtered, String>;

/// The ways in which hostile contents are cut; sending them is all that matters.
const FEW_CUTS: usize = 4;

impl Run<'_> {
    /// All that can be seen of a filter for one file.
    pub(super) fn filter(
        &mut self,
        place: &str,
        pass: (Direction, &[u8]),
        file: (&str, &Entry),
        content: &[u8],
    ) {
        if !self.cuts(place, pass, file, content, usize::MAX) {
            return;
        }
        for (what, hostile) in hostile::contents(content) {
            let place = format!("{place} holding {what}");
            if !self.cuts(&place, pass, file, &hostile, FEW_CUTS) {
                return;
            }
        }
    }

    /// Sends a content through filters, cut in this many ways; false where the filter broke down.
    fn cuts(
        &mut self,
        place: &str,
        (direction, state): (Direction, &[u8]),
        (root, entry): (&str, &Entry),
        content: &[u8],
        most: usize,
    ) -> bool {
        let members = direction == Direction::Backup;
        let mut passes = Vec::new();
        for _ in 0..2 {
            match self.started(place, direction, state) {
                Some(pass) => passes.push(pass),
                None => return false,
            }
        }
        let [one, other] = passes.as_mut_slice() else {
            return false;
        };
        let all = Cuts::all(content.len());
        let send = |run: &mut Self, pass: &mut Pass, cuts: &Cuts| -> Option<Came> {
            let came = chunks(pass, root, entry, cuts.of(content), members);
            run.came(&format!("{place}, {}", cuts.name), came)
        };
        let Some(whole) = all.first() else {
            return true;
        };
        let Some(reference) = send(self, one, whole) else {
            return false;
        };
        if let Ok(filtered) = &reference {
            self.within(place, filtered);
        }
        for (how, pass) in [
            ("a second time", &mut *one),
            ("in another pass", &mut *other),
        ] {
            let Some(came) = send(self, pass, whole) else {
                return false;
            };
            self.checks.rule(
                &rules::FILTER_STABLE,
                same_output(&reference, &came),
                || format!("{place}: {how}, {}", difference(&reference, &came)),
            );
        }
        // The last ones are random.
        for cuts in all.iter().skip(1).rev().take(most) {
            let Some(came) = send(self, other, cuts) else {
                return false;
            };
            self.checks.rule(
                &rules::FILTER_CHUNKS,
                same_output(&reference, &came),
                || format!("{place}: {}, {}", cuts.name, difference(&reference, &came)),
            );
            if let (Ok(before), Ok(now)) = (&reference, &came) {
                let same = before.members == now.members;
                self.checks.rule(&rules::FILTER_MEMBERS, same, || {
                    format!("{place}: {}, the members are others", cuts.name)
                });
            }
        }
        true
    }

    fn came(&mut self, place: &str, came: Result<Filtered, Error>) -> Option<Came> {
        match came {
            Ok(filtered) => {
                self.checks.held(&rules::FILTER_SURVIVES);
                Some(Ok(filtered))
            }
            Err(Error::Guest(failure)) => {
                self.checks.held(&rules::FILTER_SURVIVES);
                self.failure(place, &failure);
                Some(Err(failure.code))
            }
            Err(error) => {
                self.broken_pass(place, &error.into());
                None
            }
        }
    }

    /// Members that go on beyond the output's end.
    fn within(&mut self, place: &str, filtered: &Filtered) {
        let end = |member: &Member| member.offset.saturating_add(member.length);
        let beyond = filtered
            .members
            .iter()
            .find(|member| end(member) > filtered.output.len() as u64);
        self.checks
            .rule(&rules::FILTER_MEMBERS, beyond.is_none(), || {
                let path = beyond.map(|member| member.path.as_str());
                format!(
                    "{place}: the member `{}` goes on beyond the end of the output",
                    path.unwrap_or_default()
                )
            });
    }
}

fn same_output(before: &Came, now: &Came) -> bool {
    match (before, now) {
        (Ok(before), Ok(now)) => before.output == now.output,
        (Err(before), Err(now)) => before == now,
        _ => false,
    }
}

/// How two outcomes differ.
fn difference(before: &Came, now: &Came) -> String {
    let of = |came: &Came| match came {
        Ok(filtered) => format!("{} bytes", filtered.output.len()),
        Err(code) => format!("the failure `{code}`"),
    };
    if let (Ok(before), Ok(now)) = (before, now) {
        let place = before.output.iter().zip(&now.output);
        let place = place.take_while(|(one, other)| one == other).count();
        return format!(
            "the output differs from byte {place} on ({} bytes, and {})",
            before.output.len(),
            now.output.len()
        );
    }
    format!("{} instead of {}", of(now), of(before))
}
