use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::id::TreeId;

/// Snapshots of these times, whose ids count from 0.
fn snapshots(times: &[&str]) -> Vec<(SnapshotId, Snapshot)> {
    let times = times.iter().map(|time| time.parse().unwrap());
    numbered(times)
}

fn numbered(times: impl Iterator<Item = Timestamp>) -> Vec<(SnapshotId, Snapshot)> {
    let snapshot = |(index, time)| {
        let id = SnapshotId([u8::try_from(index).unwrap(); 32]);
        (id, Snapshot::new(time, TreeId([0; 32])))
    };
    times.enumerate().map(snapshot).collect()
}

fn policy(json: &str) -> RetentionPolicy {
    serde_json::from_str(json).unwrap()
}

/// The number of each snapshot with the reasons why it is kept.
fn decided(policy: &RetentionPolicy, snapshots: &[(SnapshotId, Snapshot)]) -> Vec<(u8, String)> {
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    let decisions = policy.apply(snapshots, now);
    let line = |decision: Decision| (decision.id.0[0], decision.reasons.join(", "));
    decisions.into_iter().map(line).collect()
}

fn check(json: &str, times: &[&str], expected: &[(u8, &str)]) {
    let found = decided(&policy(json), &snapshots(times));
    let found: Vec<_> = found
        .iter()
        .map(|(index, reasons)| (*index, reasons.as_str()))
        .collect();
    assert_eq!(found, expected, "{json}");
}

#[test]
fn the_newest_of_each_day_is_kept_by_the_clock_that_it_was_taken_by() {
    check(
        r#"{"keep-last": 1, "keep-daily": 2}"#,
        &[
            "2024-05-01T23:30:00Z",
            // Still the first of May in New York, and later than the next.
            "2024-05-01T22:30:00-04:00",
            "2024-05-02T01:00:00Z",
            "2024-05-03T12:00:00Z",
            "2024-05-03T12:00:01Z",
        ],
        &[
            (4, "last snapshot, daily snapshot"),
            (3, ""),
            (1, "daily snapshot"),
            (2, ""),
            (0, ""),
        ],
    );
}

#[test]
fn the_oldest_is_kept_until_there_are_as_many_as_a_rule_may_keep() {
    check(
        r#"{"keep-monthly": 3}"#,
        &[
            "2024-05-01T00:00:00Z",
            "2024-05-02T00:00:00Z",
            "2024-06-01T00:00:00Z",
        ],
        &[
            (2, "monthly snapshot"),
            (1, "monthly snapshot"),
            (0, "oldest monthly snapshot"),
        ],
    );
}

#[test]
fn weeks_begin_on_mondays_and_may_span_years() {
    check(
        r#"{"keep-weekly": 9, "keep-yearly": 1}"#,
        // Sunday, Monday, Wednesday and Sunday of one week, Monday.
        &[
            "2024-12-29T12:00:00Z",
            "2024-12-30T12:00:00Z",
            "2025-01-01T12:00:00Z",
            "2025-01-05T12:00:00Z",
            "2025-01-06T12:00:00Z",
        ],
        &[
            (4, "weekly snapshot, yearly snapshot"),
            (3, "weekly snapshot"),
            (2, ""),
            (1, ""),
            (0, "weekly snapshot"),
        ],
    );
}

#[test]
fn time_is_counted_from_the_newest_that_is_not_of_the_future() {
    check(
        r#"{"keep-within": "1d12h", "keep-within-daily": "1m"}"#,
        &[
            "2024-03-31T12:00:00Z",
            "2024-05-29T20:00:00Z",
            "2024-05-30T00:00:00Z",
            "2024-05-30T00:00:01Z",
            "2024-05-31T12:00:00Z",
            "2031-01-01T00:00:00Z",
        ],
        &[
            (5, "of the future"),
            (4, "within 1d12h, daily within 1m"),
            (3, "within 1d12h, daily within 1m"),
            (2, ""),
            (1, "daily within 1m"),
            (0, ""),
        ],
    );
}

#[test]
fn what_is_of_the_future_takes_no_place_of_another() {
    let times = [
        "2029-12-30T00:00:00Z",
        "2029-12-31T00:00:00Z",
        "2030-01-01T00:59:00Z",
        "2031-01-01T00:00:00Z",
    ];
    let kept = [(3, "of the future"), (2, "last snapshot"), (1, ""), (0, "")];
    check(r#"{"keep-last": 1}"#, &times, &kept);
    // Nor is it the one that stays where no rule keeps any.
    let kept = [
        (3, "of the future"),
        (2, "no rule keeps any"),
        (1, ""),
        (0, ""),
    ];
    check(r#"{"keep-tag": ["none"]}"#, &times, &kept);
}

#[test]
fn tags_keep_and_never_do_all_go() {
    let mut tagged = snapshots(&[
        "2024-01-01T00:00:00Z",
        "2024-01-02T00:00:00Z",
        "2024-01-03T00:00:00Z",
    ]);
    tagged[0].1.tags = vec!["monthly".into(), "before upgrade".into()];
    tagged[1].1.tags = vec!["monthly".into()];
    let found = |json| -> Vec<_> {
        let decided = decided(&policy(json), &tagged).into_iter();
        decided.filter(|(_, reasons)| !reasons.is_empty()).collect()
    };
    let both = found(r#"{"keep-tag": ["monthly,before upgrade", "none"]}"#);
    assert_eq!(both, [(0, "has tags monthly,before upgrade".to_owned())]);
    assert_eq!(found(r#"{"keep-tag": ["monthly"]}"#).len(), 2);
    assert_eq!(
        found(r#"{"keep-tag": ["none"]}"#),
        [(2, "no rule keeps any".to_owned())]
    );
    // As in restic, an empty tag is none.
    assert_eq!(
        found(r#"{"keep-tag": [""]}"#),
        [(2, "has tags ".to_owned())]
    );
    assert_eq!(found("{}").len(), 3);
    let now = Timestamp::now();
    for json in ["{}", r#"{"keep-tag": ["none"]}"#] {
        let decisions = policy(json).apply_to_the_letter(&tagged, now);
        assert_eq!(decisions.len(), 3);
        assert!(!decisions.iter().any(Decision::is_kept), "{json}");
    }
    assert_eq!(
        policy(r#"{"keep-last": 1}"#).apply(&[], Timestamp::now()),
        []
    );
}

#[test]
fn a_policy_with_a_mistake_is_refused() {
    for (json, says) in [
        (r#"{"keep-lsat": 1}"#, "unknown field `keep-lsat`"),
        (r#"{"keep-last": -1}"#, "invalid value"),
        (r#"{"keep-within": "3"}"#, "`3` is not a length of time"),
        (r#"{"keep-within": "3w"}"#, "`3w` is not a length of time"),
        (r#"{"keep-within": "d"}"#, "not a length of time"),
        (r#"{"keep-within": "-1d"}"#, "not a length of time"),
        (r#"{"keep-within": "99999999999y"}"#, "not a length of time"),
        (r#"{"keep-within": "1ü"}"#, "not a length of time"),
    ] {
        let error = serde_json::from_str::<RetentionPolicy>(json).unwrap_err();
        assert!(error.to_string().contains(says), "{json}: {error}");
    }
}

#[test]
fn a_period_is_counted_back_by_the_calendar() {
    for (time, period, before) in [
        ("2024-10-31T12:00:00Z", "1m", "2024-10-01T12:00:00Z"),
        (
            "2024-02-29T12:00:00+02:00",
            "1y",
            "2023-03-01T12:00:00+02:00",
        ),
        (
            "2024-03-01T00:30:00+01:00",
            "1d2h",
            "2024-02-28T22:30:00+01:00",
        ),
        ("2024-01-15T00:00:00Z", "2y13m", "2020-12-15T00:00:00Z"),
    ] {
        let [time, before]: [Timestamp; 2] = [time, before].map(|time| time.parse().unwrap());
        let period: Period = period.parse().unwrap();
        assert_eq!(period.before(time), before.instant(), "{time} {period}");
    }
}

fn any_policy() -> impl Strategy<Value = RetentionPolicy> {
    let period = || {
        (0..2_u32, 0..3_u32, 0..40_u32, 0..30_u32).prop_map(|(years, months, days, hours)| Period {
            years,
            months,
            days,
            hours,
        })
    };
    (vec(0..5_u32, 6), vec(period(), 6)).prop_map(|(counts, periods)| RetentionPolicy {
        keep_last: counts[0],
        keep_hourly: counts[1],
        keep_daily: counts[2],
        keep_weekly: counts[3],
        keep_monthly: counts[4],
        keep_yearly: counts[5],
        keep_within_hourly: periods[1],
        keep_within_daily: periods[2],
        ..Default::default()
    })
}

proptest! {
    #[test]
    fn what_was_kept_is_kept_again(policy in any_policy(), ages in vec(0..100_000_000_i64, 1..40), offsets in vec(-700..700_i16, 40)) {
        let now = Timestamp::utc(1_800_000_000, 0);
        let times = ages.iter().zip(offsets).map(|(age, offset_minutes)| Timestamp {
            seconds: now.seconds - 1 - age,
            nanoseconds: 0,
            offset_minutes,
        });
        let mut snapshots = numbered(times);
        let kept: Vec<_> = policy.apply(&snapshots, now).into_iter().filter(Decision::is_kept).map(|decision| decision.id).collect();
        prop_assert!(!kept.is_empty());
        snapshots.retain(|(id, _)| kept.contains(id));
        prop_assert!(policy.apply(&snapshots, now).iter().all(Decision::is_kept));
    }

    #[test]
    fn every_period_survives_its_text(years: u32, months: u32, days: u32, hours: u32) {
        let period = Period { years, months, days, hours };
        prop_assert_eq!(period.to_string().parse(), Ok(period));
        // The first second that a snapshot can name.
        period.before("0000-01-01T00:00:00Z".parse().unwrap());
    }
}
