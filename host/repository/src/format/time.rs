//! Points in time as Go writes them: RFC 3339 with nanoseconds and an offset from UTC.

use std::fmt;
use std::str::FromStr;

use jiff::tz::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Malformed;

/// A point in time, with the offset of the clock that it was read from.
///
/// Ordered by the instant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, under 1,000,000,000.
    pub nanoseconds: u32,
    /// The local clock's distance from UTC in minutes, east positive.
    pub offset_minutes: i16,
}

/// The first second of the year 0 and the last of 9999: what RFC 3339 can say.
const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl Timestamp {
    /// What Go writes for a time that was never set.
    pub const ZERO: Self = Self::utc(-62_135_596_800, 0);

    /// The time that many seconds and nanoseconds after 1970-01-01T00:00:00Z.
    pub const fn utc(seconds: i64, nanoseconds: u32) -> Self {
        Self {
            seconds,
            nanoseconds,
            offset_minutes: 0,
        }
    }

    /// The present, by the local clock.
    pub fn now() -> Self {
        let now = jiff::Zoned::now();
        let timestamp = now.timestamp();
        Self {
            seconds: timestamp.as_second() - i64::from(timestamp.subsec_nanosecond() < 0),
            nanoseconds: timestamp
                .subsec_nanosecond()
                .rem_euclid(1_000_000_000)
                .unsigned_abs(),
            offset_minutes: i16::try_from(now.offset().seconds() / 60).unwrap_or(0),
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 without trailing zeros in the fraction. Years outside 0 to 9999 are moved to the nearest that can be
    /// written, nanoseconds past a second to its last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = i64::from(self.offset_minutes.clamp(-1439, 1439));
        let local = (self.seconds.saturating_add(offset * 60)).clamp(*RANGE.start(), *RANGE.end());
        let civil =
            Offset::UTC.to_datetime(jiff::Timestamp::from_second(local).unwrap_or_default());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second()
        )?;
        if self.nanoseconds > 0 {
            let digits = format!("{:09}", self.nanoseconds.min(999_999_999));
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        match offset {
            0 => f.write_str("Z"),
            _ => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
        }
    }
}

impl FromStr for Timestamp {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        parse(text.as_bytes()).ok_or_else(|| {
            Malformed(format!(
                "`{}` is not a time of RFC 3339",
                text.chars().take(40).collect::<String>()
            ))
        })
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |number, digit| match digit {
            b'0'..=b'9' => number.checked_mul(10)?.checked_add(u32::from(digit - b'0')),
            _ => None,
        })
    };
    let (
        &[
            y0,
            y1,
            y2,
            y3,
            b'-',
            m0,
            m1,
            b'-',
            d0,
            d1,
            b'T',
            h0,
            h1,
            b':',
            n0,
            n1,
            b':',
            s0,
            s1,
        ],
        mut rest,
    ) = text.split_first_chunk()?
    else {
        return None;
    };
    let civil = jiff::civil::DateTime::new(
        i16::try_from(number(&[y0, y1, y2, y3])?).ok()?,
        i8::try_from(number(&[m0, m1])?).ok()?,
        i8::try_from(number(&[d0, d1])?).ok()?,
        i8::try_from(number(&[h0, h1])?).ok()?,
        i8::try_from(number(&[n0, n1])?).ok()?,
        i8::try_from(number(&[s0, s1])?).ok()?,
        0,
    )
    .ok()?;
    let mut nanoseconds = 0;
    if let Some((b'.', after)) = rest.split_first() {
        let length = after
            .iter()
            .take_while(|digit| digit.is_ascii_digit())
            .count();
        let (digits, after) = after.split_at(length);
        if !(1..=9).contains(&length) {
            return None;
        }
        nanoseconds = number(digits)? * 10_u32.pow(9 - u32::try_from(length).ok()?);
        rest = after;
    }
    let offset_minutes = match *rest {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (number(&[h0, h1])?, number(&[m0, m1])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = i16::try_from(hours * 60 + minutes).ok()?;
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let local = Offset::UTC.to_timestamp(civil).ok()?.as_second();
    Some(Timestamp {
        seconds: local - i64::from(offset_minutes) * 60,
        nanoseconds,
        offset_minutes,
    })
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of RFC 3339")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_what_go_writes() {
        for (seconds, nanoseconds, offset_minutes, text) in [
            (0, 0, 0, "1970-01-01T00:00:00Z"),
            (0, 120_000_000, 60, "1970-01-01T01:00:00.12+01:00"),
            (-1, 1, -210, "1969-12-31T20:29:59.000000001-03:30"),
            (
                951_782_400,
                999_999_999,
                0,
                "2000-02-29T00:00:00.999999999Z",
            ),
            (Timestamp::ZERO.seconds, 0, 0, "0001-01-01T00:00:00Z"),
            (253_402_300_799, 0, 0, "9999-12-31T23:59:59Z"),
        ] {
            let time = Timestamp {
                seconds,
                nanoseconds,
                offset_minutes,
            };
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
        }
    }

    #[test]
    fn times_that_cannot_be_written_move_to_the_nearest_year() {
        assert_eq!(
            Timestamp::utc(i64::MAX, u32::MAX).to_string(),
            "9999-12-31T23:59:59.999999999Z"
        );
        assert_eq!(
            Timestamp::utc(i64::MIN, 0).to_string(),
            "0000-01-01T00:00:00Z"
        );
    }

    proptest! {
        #[test]
        fn every_time_survives_its_text(seconds in -62_167_132_800_i64..253_402_214_400, nanoseconds in 0..1_000_000_000_u32, offset_minutes in -1439..=1439_i16) {
            let time = Timestamp { seconds, nanoseconds, offset_minutes };
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn no_text_panics(text in "[0-9T:.Z+-]{0,40}|\\PC*") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
