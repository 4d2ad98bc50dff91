//! Text from a plugin, made fit for a terminal.

/// The text without terminal escapes and control characters (line breaks and tabs stay), cut at `limit` bytes.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(limit));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_sequence(&mut chars),
            '\n' | '\t' => cleaned.push(c),
            c if c.is_control() || is_bidi_control(c) => {}
            c => cleaned.push(c),
        }
        if cleaned.len() > limit {
            cleaned.truncate(cleaned.floor_char_boundary(limit));
            cleaned.push('…');
            break;
        }
    }
    cleaned
}

/// Text that was made clean on one line, with its line breaks and tabs as `\n` and `\t`: what follows a break can't pass for a line of somebody else.
pub(crate) fn on_one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\t', "\\t")
}

/// Characters that make a terminal show text in another order than it is.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Skips what follows an ESC: a control sequence (ECMA-48 CSI), a string ended by BEL or ST (OSC and its like), or one character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => skip_sequence(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}'
                    || c == '\u{9c}'
                    || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some())
                {
                    break;
                }
            }
        }
        _ => {}
    }
}

/// Skips the parameters and the final character of a control sequence.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::clean;

    #[test]
    fn terminal_escapes_leave_nothing_behind() {
        for (text, cleaned) in [
            ("plain\ttext\nin lines", "plain\ttext\nin lines"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{9b}2Jcleared", "cleared"),
            ("over\rwritten\u{8}\u{0}", "overwritten"),
            ("\u{202e}drow", "drow"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(clean(text, 100), cleaned, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(clean("ääää", 5), "ää…");
    }

    proptest! {
        #[test]
        fn no_control_character_passes(text: String) {
            prop_assert!(clean(&text, 1000).chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
        }
    }
}
