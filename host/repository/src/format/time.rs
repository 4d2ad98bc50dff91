//! Points in time as Go writes them: RFC 3339 with nanoseconds and an offset from UTC.

use std::fmt;
use std::str::FromStr;

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

/// Seconds of a day.
pub(crate) const DAY: i64 = 24 * 60 * 60;

/// Days from 1970-01-01 to year, month and day. Years begin in March here, so that the leap day is the last.
pub(crate) fn days((year, month, day): (i64, i64, i64)) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// Undoes [`days`].
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + days.div_euclid(146_097) * 400 + i64::from(month > 9);
    (year, (month + 2) % 12 + 1, day)
}

impl Timestamp {
    /// What Go writes for a time that was never set.
    pub const ZERO: Self = Self::utc(-62_135_596_800, 0);

    /// Whether it is another than [`Self::ZERO`], which snapshots hold where nobody noted a time.
    pub fn is_set(self) -> bool {
        self.instant() != Self::ZERO.instant()
    }

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

    /// Seconds since what the local clock showed as 1970-01-01T00:00:00.
    pub(crate) fn local_seconds(self) -> i64 {
        self.seconds
            .saturating_add(i64::from(self.offset_minutes) * 60)
    }

    /// Seconds and nanoseconds since 1970-01-01T00:00:00Z: what sets two points in time apart.
    pub(crate) fn instant(self) -> (i64, u32) {
        (self.seconds, self.nanoseconds)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 without trailing zeros in the fraction. Years outside 0 to 9999 are moved to the nearest that can be
    /// written, nanoseconds past a second to its last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(self.text().as_bytes()).unwrap_or_default())
    }
}

/// A time as text, which is at most as long as `2024-02-29T23:59:59.123456789+12:34`.
pub(super) struct Text {
    bytes: [u8; 35],
    length: usize,
}

impl Text {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// The last `digits` digits of `number`, which is not negative.
    fn number(&mut self, number: i64, digits: u32) {
        for place in (0..digits).rev() {
            self.push(b'0' + (number / 10_i64.pow(place) % 10) as u8);
        }
    }

    /// Numbers of two digits, each after what separates it from the one before.
    fn pairs(&mut self, pairs: [(u8, i64); 5]) {
        for (separator, number) in pairs {
            self.push(separator);
            self.number(number, 2);
        }
    }
}

impl Timestamp {
    /// As [`fmt::Display`] writes it.
    pub(super) fn text(&self) -> Text {
        let offset = i64::from(self.offset_minutes.clamp(-1439, 1439));
        let local = (self.seconds.saturating_add(offset * 60)).clamp(*RANGE.start(), *RANGE.end());
        let (year, month, day) = civil(local.div_euclid(DAY));
        let second = local.rem_euclid(DAY);
        let mut text = Text {
            bytes: [0; 35],
            length: 0,
        };
        text.number(year, 4);
        text.pairs([
            (b'-', month),
            (b'-', day),
            (b'T', second / 3600),
            (b':', second / 60 % 60),
            (b':', second % 60),
        ]);
        let mut fraction = i64::from(self.nanoseconds.min(999_999_999));
        if fraction > 0 {
            let mut digits = 9;
            while fraction % 10 == 0 {
                fraction /= 10;
                digits -= 1;
            }
            text.push(b'.');
            text.number(fraction, digits);
        }
        if offset == 0 {
            text.push(b'Z');
        } else {
            text.push(if offset < 0 { b'-' } else { b'+' });
            text.number(offset.abs() / 60, 2);
            text.push(b':');
            text.number(offset.abs() % 60, 2);
        }
        text
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
    let date = (
        number(&[y0, y1, y2, y3])?.into(),
        number(&[m0, m1])?.into(),
        number(&[d0, d1])?.into(),
    );
    let days = days(date);
    let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
    // A date that does not exist is another one by the time it comes back.
    if civil(days) != date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
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
    let local = days * DAY + i64::from(hour * 3600 + minute * 60 + second);
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
