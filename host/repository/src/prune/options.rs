//! How a prune is asked for.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::format::Malformed;
use crate::id::SnapshotId;

/// How to prune.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// How much that nothing needs may stay, where it lies in packs that something needs.
    pub max_unused: MaxUnused,
    /// At most so many bytes of packs are written anew.
    pub max_repack: Option<u64>,
    /// No packs with file contents are written anew, only those with directory listings.
    pub repack_cacheable_only: bool,
    /// All packs are written anew that are below 80 % of the usual size; else only those below 4 %.
    pub repack_small: bool,
    /// Packs are written anew in which nothing is compressed.
    pub repack_uncompressed: bool,
    /// Prune in two phases, without keeping others out: what is not needed is marked, and only removed by a prune so long after. No backup may
    /// take longer than that, and unless the repository is locked exclusively it must be [`MIN_GRACE`](super::MIN_GRACE) or more. Without it
    /// the repository must be locked exclusively, and what is not needed is removed at once.
    pub two_phase: Option<Duration>,
    /// Say what would be done, and change nothing.
    pub dry_run: bool,
    /// Snapshots that are taken for gone already.
    pub without: Vec<SnapshotId>,
    /// Set to true from anywhere, it ends the work with [`Error::Interrupted`](crate::Error::Interrupted). The repository stays whole.
    pub cancel: Arc<AtomicBool>,
}

/// How much that nothing needs may stay in packs that something needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxUnused {
    /// So much of all that is left, in percent, under 100.
    Percent(f64),
    /// So many bytes.
    Bytes(u64),
    /// Any amount: only packs that nothing needs are removed.
    Unlimited,
}

impl Default for MaxUnused {
    fn default() -> Self {
        Self::Percent(5.0)
    }
}

impl MaxUnused {
    /// In bytes, where so many are needed.
    pub(super) fn bytes(self, used: u64) -> u64 {
        match self {
            Self::Percent(percent) => (percent / (100.0 - percent) * used as f64) as u64,
            Self::Bytes(bytes) => bytes,
            Self::Unlimited => u64::MAX,
        }
    }
}

impl FromStr for MaxUnused {
    type Err = Malformed;

    /// `5%`, `10G` or `unlimited`.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let Some(percent) = text.strip_suffix('%') else {
            return parse_size(text).map(Self::Bytes);
        };
        match percent.trim().parse() {
            Ok(percent) if (0.0..100.0).contains(&percent) => Ok(Self::Percent(percent)),
            _ => Err(Malformed(format!(
                "`{text}` is not a percentage from 0% to below 100%"
            ))),
        }
    }
}

/// Bytes written like `500M`: with a binary unit (`k`, `m`, `g`, `t`, large or small) or none.
///
/// # Errors
/// It is not.
pub fn parse_size(text: &str) -> Result<u64, Malformed> {
    let malformed = || {
        let shown: String = text.chars().take(40).collect();
        Malformed(format!("`{shown}` is not a size such as `500M` or `2G`"))
    };
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(malformed()),
    };
    let number: u64 = digits.parse().map_err(|_| malformed())?;
    number.checked_mul(1 << shift).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_for_restic() {
        for (text, limit) in [
            ("5%", MaxUnused::Percent(5.0)),
            ("0%", MaxUnused::Percent(0.0)),
            ("0", MaxUnused::Bytes(0)),
            ("10K", MaxUnused::Bytes(10 << 10)),
            ("3g", MaxUnused::Bytes(3 << 30)),
            ("unlimited", MaxUnused::Unlimited),
        ] {
            assert_eq!(text.parse(), Ok(limit), "{text}");
        }
        for text in [
            "",
            "%",
            "100%",
            "-1%",
            "nan%",
            "k",
            "1.5G",
            "-1",
            "1x",
            "99999999T",
        ] {
            assert!(text.parse::<MaxUnused>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_percentage_is_one_of_all_that_is_left() {
        assert_eq!(MaxUnused::Percent(20.0).bytes(800), 200);
        assert_eq!(MaxUnused::Percent(0.0).bytes(800), 0);
    }
}
