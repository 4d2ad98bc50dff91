//! Which snapshots are kept, by the rules of `restic forget`, and removing the others.

mod period;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use period::Period;

use crate::backend::FileKind;
use crate::error::Error;
use crate::format::Timestamp;
use crate::format::snapshot::Snapshot;
use crate::format::time::{DAY, civil};
use crate::id::SnapshotId;
use crate::lock::LockGuard;
use crate::parallel;
use crate::repository::Repository;

/// Which snapshots are kept. A snapshot that any rule keeps is kept; with no rule at all every one is.
///
/// A rule that keeps a number of hourly, daily, … snapshots counts hours, days, … that have a snapshot, by the clock that the
/// snapshot was taken by, and keeps the newest of each; where it has not found as many as it may keep, it keeps the oldest snapshot too.
///
/// Where there are rules, snapshots of the future are kept and take no place of others: a clock that was wrong for a day must not cost the backups of
/// all days that follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct RetentionPolicy {
    /// Keeps that many of the newest snapshots.
    pub keep_last: u32,
    /// Keeps the newest snapshot of that many hours.
    pub keep_hourly: u32,
    /// Keeps the newest snapshot of that many days.
    pub keep_daily: u32,
    /// Keeps the newest snapshot of that many weeks.
    pub keep_weekly: u32,
    /// Keeps the newest snapshot of that many months.
    pub keep_monthly: u32,
    /// Keeps the newest snapshot of that many years.
    pub keep_yearly: u32,
    /// Keeps all snapshots that are younger than that, counted from the newest.
    pub keep_within: Period,
    /// Keeps the newest snapshot of every hour within that time.
    pub keep_within_hourly: Period,
    /// Keeps the newest snapshot of every day within that time.
    pub keep_within_daily: Period,
    /// Keeps the newest snapshot of every week within that time.
    pub keep_within_weekly: Period,
    /// Keeps the newest snapshot of every month within that time.
    pub keep_within_monthly: Period,
    /// Keeps the newest snapshot of every year within that time.
    pub keep_within_yearly: Period,
    /// Keeps all snapshots that have one of these tags, or all the tags of one of these lists separated by commas; an empty one means those
    /// without any tag.
    pub keep_tag: Vec<String>,
}

/// Why a snapshot is kept that takes no place of others.
const OF_THE_FUTURE: &str = "of the future";

/// Clocks of several machines differ by less.
const AHEAD: i64 = 60 * 60;

/// Whether a snapshot says that it is of a time to come: the clock was wrong when it was taken, or is now.
pub fn is_of_the_future(snapshot: &Snapshot, now: Timestamp) -> bool {
    snapshot.time.instant().0 > now.instant().0.saturating_add(AHEAD)
}

/// What becomes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Which one.
    pub id: SnapshotId,
    /// Why it is kept, in restic's words, such as `daily snapshot`. Nothing keeps one that has no reasons.
    pub reasons: Vec<String>,
}

impl Decision {
    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// What a rule keeps one snapshot of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Snapshot,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    /// A number that two snapshots share if they are of the same hour, day, …; `index` sets them apart.
    fn of(self, time: Timestamp, index: usize) -> i64 {
        let local = time.local_seconds();
        let day = local.div_euclid(DAY);
        let (year, month, _) = civil(day);
        match self {
            Self::Snapshot => i64::try_from(index).unwrap_or(i64::MAX),
            Self::Hour => local.div_euclid(60 * 60),
            Self::Day => day,
            // 1970 began on a Thursday, and weeks begin on Mondays.
            Self::Week => (day + 3).div_euclid(7),
            Self::Month => year * 12 + month,
            Self::Year => year,
        }
    }
}

/// A rule while it is applied.
struct Rule {
    unit: Unit,
    reason: String,
    /// How many it may still keep, if that is limited.
    left: Option<u32>,
    /// It keeps what is newer than this, if it asks for that.
    after: Option<(i64, u32)>,
    /// The hour, day, … of the last snapshot that it kept.
    last: Option<i64>,
}

impl Rule {
    /// Why it keeps the snapshot, if it does.
    fn keeps(&mut self, time: Timestamp, index: usize, is_oldest: bool) -> Option<String> {
        let too_old = self.after.is_some_and(|after| time.instant() <= after);
        if too_old || self.left == Some(0) {
            return None;
        }
        let value = self.unit.of(time, index);
        let known = self.last.replace(value) == Some(value);
        if known && !is_oldest {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        Some(match known {
            true => format!("oldest {}", self.reason),
            false => self.reason.clone(),
        })
    }
}

impl RetentionPolicy {
    /// Whether it has no rules.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Decides on snapshots that belong together, newest first. Those of the past it never lets all go.
    ///
    /// Snapshots of the future, seen from `now`, are not what time is counted from.
    pub fn apply(&self, snapshots: &[(SnapshotId, Snapshot)], now: Timestamp) -> Vec<Decision> {
        let mut decisions = self.apply_to_the_letter(snapshots, now);
        if self.is_empty() {
            for decision in &mut decisions {
                decision.reasons.push("policy is empty".to_owned());
            }
        }
        let mut past: Vec<_> = decisions
            .iter_mut()
            .filter(|decision| !decision.reasons.iter().any(|why| why == OF_THE_FUTURE))
            .collect();
        if !past.iter().any(|decision| decision.is_kept())
            && let Some(newest) = past.first_mut()
        {
            newest.reasons.push("no rule keeps any".to_owned());
        }
        decisions
    }

    /// As [`Self::apply`], but lets all go that no rule keeps: all there are, where there is no rule.
    pub fn apply_to_the_letter(
        &self,
        snapshots: &[(SnapshotId, Snapshot)],
        now: Timestamp,
    ) -> Vec<Decision> {
        let mut newest_first: Vec<_> = snapshots.iter().collect();
        newest_first.sort_by_key(|(_, snapshot)| std::cmp::Reverse(snapshot.time.instant()));
        let mut times = newest_first.iter().map(|(_, snapshot)| snapshot.time);
        let newest = times.find(|time| time.instant() < now.instant());
        let mut rules = self.rules(newest);
        newest_first
            .iter()
            .enumerate()
            .map(|(index, (id, snapshot))| {
                let is_oldest = index + 1 == newest_first.len();
                let tags = self.keep_tag.iter().filter(|tags| has_tags(snapshot, tags));
                let mut reasons: Vec<_> = tags.map(|tags| format!("has tags {tags}")).collect();
                if !self.is_empty() && is_of_the_future(snapshot, now) {
                    reasons.push(OF_THE_FUTURE.to_owned());
                } else {
                    let rules = rules.iter_mut();
                    reasons.extend(
                        rules.filter_map(|rule| rule.keeps(snapshot.time, index, is_oldest)),
                    );
                }
                Decision { id: *id, reasons }
            })
            .collect()
    }

    /// The rules that there are. `newest` is what time is counted from.
    fn rules(&self, newest: Option<Timestamp>) -> Vec<Rule> {
        let counted = [
            (Unit::Snapshot, self.keep_last, "last"),
            (Unit::Hour, self.keep_hourly, "hourly"),
            (Unit::Day, self.keep_daily, "daily"),
            (Unit::Week, self.keep_weekly, "weekly"),
            (Unit::Month, self.keep_monthly, "monthly"),
            (Unit::Year, self.keep_yearly, "yearly"),
        ];
        let counted =
            counted
                .into_iter()
                .filter(|(_, count, _)| *count > 0)
                .map(|(unit, count, word)| Rule {
                    unit,
                    reason: format!("{word} snapshot"),
                    left: Some(count),
                    after: None,
                    last: None,
                });
        let within = [
            (Unit::Snapshot, self.keep_within, "within"),
            (Unit::Hour, self.keep_within_hourly, "hourly within"),
            (Unit::Day, self.keep_within_daily, "daily within"),
            (Unit::Week, self.keep_within_weekly, "weekly within"),
            (Unit::Month, self.keep_within_monthly, "monthly within"),
            (Unit::Year, self.keep_within_yearly, "yearly within"),
        ];
        let within = within
            .into_iter()
            .filter(|(_, period, _)| !period.is_zero())
            .map(|(unit, period, word)| Rule {
                unit,
                reason: format!("{word} {period}"),
                left: None,
                after: newest.map(|newest| period.before(newest)),
                last: None,
            });
        counted.chain(within).collect()
    }
}

fn has_tags(snapshot: &Snapshot, tags: &str) -> bool {
    let mut tags = tags.split(',').map(str::trim);
    match snapshot.tags.is_empty() {
        // No tag at all is meant by an empty one.
        true => tags.next() == Some(""),
        false => tags.all(|tag| snapshot.tags.iter().any(|own| own == tag)),
    }
}

impl Repository {
    /// Removes snapshots, which must be decided on under the same exclusive lock. What only they hold stays stored until it is pruned.
    ///
    /// # Errors
    /// The lock is not exclusive or has lapsed, or the store fails: then some of them may be gone.
    pub fn forget(&self, ids: &[SnapshotId], lock: &LockGuard) -> Result<(), Error> {
        lock.check_exclusive()?;
        parallel::map(ids, |id| self.backend().remove(FileKind::Snapshot, &id.0))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
