//! Values as people read them.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A number of bytes with a binary unit.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// A point in time on the local clock, to the second.
pub(crate) fn time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The time of a snapshot on the local clock, to the second.
pub(crate) fn stored_time(stored: copal_repository::format::Timestamp) -> String {
    Timestamp::new(stored.seconds, 0)
        .map(time)
        .unwrap_or_else(|_| stored.to_string())
}

/// Text from a plugin, a file name or a server on one line, without what could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    escape(text, |_| false)
}

/// The same, with its line breaks.
pub(crate) fn printable_lines(text: &str) -> String {
    escape(text, |c| c == '\n')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if keep(c) || copal_trust::is_visible(c) {
            shown.push(c);
        } else {
            // Writing to a String never fails.
            let _ = write!(shown, "{}", c.escape_default());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_shown() {
        assert_eq!(printable("a\x1b[2Jb\nc"), r"a\u{1b}[2Jb\nc");
        assert_eq!(printable_lines("a\nb\u{202e}"), "a\nb\\u{202e}");
        assert_eq!(
            printable("默认 ü\u{3000}e\u{301}"),
            "默认 ü\u{3000}e\u{301}"
        );
        for hidden in ["\u{2028}", "\u{ad}", "\u{2060}", "\u{e0041}", "\u{200b}"] {
            assert!(printable(hidden).starts_with(r"\u{"), "{hidden:?}");
        }
    }
}
