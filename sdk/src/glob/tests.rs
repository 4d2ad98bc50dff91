use proptest::prelude::*;

use super::*;

fn glob(pattern: &str) -> Glob {
    pattern.parse().unwrap()
}

#[track_caller]
fn check(pattern: &str, yes: &[&str], no: &[&str]) {
    for path in yes {
        assert!(glob(pattern).matches(path, false), "{pattern} for {path}");
    }
    for path in no {
        assert!(!glob(pattern).matches(path, false), "{pattern} for {path}");
    }
}

#[test]
fn a_name_matches_in_every_directory() {
    check(
        "core",
        &["core", "a/core", "a/b/core"],
        &["", "score", "core/a", "a/cores"],
    );
    check(
        "*.log",
        &["x.log", ".log", "a/b.log"],
        &["x.logs", "x.log/y"],
    );
    check("**", &["a", "a/b"], &[""]);
}

#[test]
fn a_slash_ties_a_pattern_to_the_root() {
    check("/core", &["core"], &["a/core"]);
    check("a/core", &["a/core"], &["b/a/core", "core"]);
    check("/*", &["a"], &["a/b"]);
}

#[test]
fn two_stars_stand_for_any_number_of_directories() {
    check(
        "a/**/b",
        &["a/b", "a/x/b", "a/x/y/b"],
        &["a/xb", "b", "x/a/b", "a/b/x"],
    );
    check("**/a/b", &["a/b", "x/a/b"], &["a/x/b"]);
    check("a/**", &["a/b", "a/b/c"], &["a", "b/a/c"]);
    check("**/a/**/b/**", &["a/b/c", "x/a/y/b/z"], &["a/b", "b/a/c"]);
    check("a**b", &["ab", "axb", "d/axb"], &["a/b"]);
}

#[test]
fn stars_and_question_marks_stay_within_a_name() {
    check("a/*/c", &["a/b/c"], &["a/c", "a/b/b/c"]);
    check("a?c", &["abc", "aäc"], &["ac", "a/c", "abbc"]);
    check("*a*b*", &["ab", "xaxbx", "aab"], &["ba", "a/b"]);
}

#[test]
fn classes_match_one_character() {
    check("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]);
    check("[!a-c]x", &["dx", "äx"], &["ax", "x"]);
    check("[^a]", &["b"], &["a"]);
    check("[]a]", &["]", "a"], &["b"]);
    check("[!]]", &["a"], &["]"]);
    check("[a-]", &["a", "-"], &["b"]);
    check("[-a]", &["a", "-"], &["b"]);
    check("[*?]", &["*", "?"], &["a"]);
    check("[z-a]", &[], &["a", "m", "z"]);
}

#[test]
fn names_that_are_not_text_match_by_their_spelling() {
    check(r"a?", &[r"a\xff", r"a\\"], &[r"a\\x"]);
    check(r"a\\b", &[r"a\\b"], &["ab"]);
    check(r"\xff*", &[r"\xffz"], &[r"\xfe"]);
    check(r"[\xf0-\xff]", &[r"\xf8"], &[r"\x80", "ø"]);
    check("[A-z]", &["a"], &[r"\xff"]);
}

#[test]
fn a_slash_at_the_end_matches_directories_only() {
    assert!(glob("tmp/").matches("a/tmp", true));
    assert!(!glob("tmp/").matches("a/tmp", false));
    assert!(!glob("/tmp/").matches("a/tmp", true));
}

#[test]
fn patterns_that_can_match_nothing_are_refused() {
    for pattern in [
        "", "/", "//", "a//b", "a/./b", "..", "[", "[]", "[a", "[!", "[a-]b/[", "x/[z-",
    ] {
        let failure = pattern.parse::<Glob>().unwrap_err();
        assert_eq!(failure.code, "sdk.glob.invalid", "{pattern}");
    }
}

#[test]
fn many_stars_do_not_take_exponential_time() {
    let path = format!("{}b", "a".repeat(2_000));
    assert!(!glob(&"*a".repeat(50)).matches(&path, false));
    let deep = format!("{}b", "a/".repeat(2_000));
    assert!(!glob(&format!("{}c", "**/a/".repeat(50))).matches(&deep, false));
}

/// The definition, written down without regard for time.
fn by_definition(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => {
            by_definition(rest, text) || (!text.is_empty() && by_definition(pattern, &text[1..]))
        }
        Some((part, rest)) => {
            !text.is_empty()
                && (*part == '?' || *part == text[0])
                && by_definition(rest, &text[1..])
        }
    }
}

proptest! {
    #[test]
    fn names_match_as_defined(pattern in "[ab*?]{1,8}", name in "[ab]{1,10}") {
        prop_assume!(pattern != "**");
        let pattern_chars: Vec<char> = pattern.chars().collect();
        let name_chars: Vec<char> = name.chars().collect();
        prop_assert_eq!(
            glob(&pattern).matches(&name, false),
            by_definition(&pattern_chars, &name_chars)
        );
    }

    #[test]
    fn directories_match_as_defined(pattern in prop::collection::vec("a|b|\\*\\*|\\*", 2..7), path in prop::collection::vec("a|b", 1..8)) {
        prop_assume!(pattern.last().is_some_and(|last| last != "**"));
        // One character for each name: `**` is many, `*` is one.
        let parts: Vec<char> = pattern
            .iter()
            .map(|part| match part.as_str() { "**" => '*', "*" => '?', name => name.chars().next().unwrap() })
            .collect();
        let names: Vec<char> = path.concat().chars().collect();
        prop_assert_eq!(
            glob(&pattern.join("/")).matches(&path.join("/"), false),
            by_definition(&parts, &names)
        );
    }

    #[test]
    fn no_pattern_and_no_path_panics(pattern: String, path: String) {
        if let Ok(glob) = pattern.parse::<Glob>() {
            glob.matches(&path, true);
        }
    }
}
