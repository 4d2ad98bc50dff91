//! Lengths of time in years, months, days and hours.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::format::time::{DAY, civil, days};
use crate::format::{Malformed, Timestamp};

/// A length of time, written like `2y5m7d3h`: years, months, days and hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// Years.
    pub years: u32,
    /// Months.
    pub months: u32,
    /// Days.
    pub days: u32,
    /// Hours.
    pub hours: u32,
}

impl Period {
    /// So many hours.
    pub const fn hours(hours: u32) -> Self {
        Self {
            years: 0,
            months: 0,
            days: 0,
            hours,
        }
    }

    /// Whether it has no length.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// How long it is, counted back from now.
    pub fn duration(self) -> std::time::Duration {
        let now = Timestamp::now();
        let seconds = now.seconds - self.before(now).0;
        std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// Seconds and nanoseconds since 1970 at what the clock of `time` showed so long before. As in Go, a day that a month does not
    /// have is one of the next: a month before October 31st is October 1st.
    pub(super) fn before(self, time: Timestamp) -> (i64, u32) {
        let local = time.local_seconds();
        let (year, month, day) = civil(local.div_euclid(DAY));
        let months = (year - i64::from(self.years)) * 12 + month - 1 - i64::from(self.months);
        let first = days((months.div_euclid(12), months.rem_euclid(12) + 1, 1));
        let local_before = (first + day - 1 - i64::from(self.days)) * DAY + local.rem_euclid(DAY);
        let hours = i64::from(self.hours) * 60 * 60;
        let seconds = time.seconds.saturating_add(local_before - local - hours);
        (seconds, time.nanoseconds)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.years, 'y'),
            (self.months, 'm'),
            (self.days, 'd'),
            (self.hours, 'h'),
        ];
        for (number, unit) in parts.into_iter().filter(|(number, _)| *number > 0) {
            write!(f, "{number}{unit}")?;
        }
        Ok(())
    }
}

impl FromStr for Period {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || {
            let shown: String = text.chars().take(40).collect();
            Malformed(format!(
                "`{}` is not a length of time like `2y5m7d3h`: years, months, days and hours",
                shown.escape_debug()
            ))
        };
        let mut period = Self::default();
        let mut rest = text.trim();
        while let Some(at) = rest.find(|c: char| !c.is_ascii_digit()) {
            let (number, unit) = rest.split_at(at);
            let (field, after) = match unit.as_bytes() {
                [b'y', ..] => (&mut period.years, &unit[1..]),
                [b'm', ..] => (&mut period.months, &unit[1..]),
                [b'd', ..] => (&mut period.days, &unit[1..]),
                [b'h', ..] => (&mut period.hours, &unit[1..]),
                _ => return Err(malformed()),
            };
            *field = number.parse().map_err(|_| malformed())?;
            rest = after;
        }
        match rest {
            "" => Ok(period),
            _ => Err(malformed()),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time in years, months, days and hours, such as `2y5m7d3h`.",
            "type": "string",
            "pattern": "^([0-9]+[ymdh])*$",
        })
    }
}
