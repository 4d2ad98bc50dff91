use proptest::prelude::*;

use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::new(text.as_bytes(), false).unwrap()
}

fn choice(include: &[&str], exclude: &[&str]) -> Choice {
    let patterns = |texts: &[&str]| texts.iter().map(|text| pattern(text)).collect();
    Choice {
        include: patterns(include),
        exclude: patterns(exclude),
    }
}

#[test]
fn a_pattern_matches_what_it_names_and_all_beneath() {
    for (text, path, expected) in [
        ("foo", "foo", true),
        ("foo", "a/foo", true),
        ("foo", "a/foo/b/c", true),
        ("foo", "food", false),
        ("/foo", "foo/b", true),
        ("/foo", "a/foo", false),
        ("/", "anything/at all", true),
        ("a/b", "x/a/b/y", true),
        ("a/b", "a/x/b", false),
        ("./a//b/", "a/b", true),
        ("*.go", "src/main.go", true),
        ("*.go", "src/main.gob", false),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abcdef", false),
        ("?", "é", true),
        ("?", "ab", false),
        ("[a-c]x[^0-9]", "bxz", true),
        ("[a-c]x[^0-9]", "bx7", false),
        ("[]x]", "]", true),
        (r"\*", "*", true),
        (r"\*", "a", false),
        (r"[\]]", "]", true),
        (r"\!a", "!a", true),
        ("/home/**/*.log", "home/u.log", true),
        ("/home/**/*.log", "home/a/b/c.log", true),
        ("/home/**/*.log", "srv/a.log", false),
        ("a/**", "a", true),
        ("a/**/b/**/c", "x/a/b/1/b/2/c", true),
        ("a/**/b/**/c", "a/c/b", false),
    ] {
        assert_eq!(
            pattern(text).matches(path.as_bytes()),
            expected,
            "{text} {path}"
        );
    }
}

#[test]
fn only_a_tied_pattern_rules_directories_out() {
    for (text, path, expected) in [
        ("foo", "a/b", true),
        ("/a/b/c", "", true),
        ("/a/b/c", "a", true),
        ("/a/b/c", "a/b/c/d", true),
        ("/a/b/c", "a/x", false),
        ("/a/*/c", "a/x", true),
        ("/a/**/c", "a/x/y", true),
        ("/a/**/c", "b", false),
    ] {
        let may = pattern(text).may_match_beneath(path.as_bytes());
        assert_eq!(may, expected, "{text} {path}");
    }
}

#[test]
fn letters_of_any_case_are_the_same_where_that_is_asked_for() {
    let pattern = Pattern::new("*.JPG".as_bytes(), true).unwrap();
    assert!(pattern.matches("Ä/x.jPg".as_bytes()) && pattern.matches(b"\xff.jpg"));
    let pattern = Pattern::new("Ä?".as_bytes(), true).unwrap();
    assert!(pattern.matches("ä\u{df}".as_bytes()));
}

#[test]
fn bytes_that_are_no_text_are_matched_one_by_one() {
    assert!(
        Pattern::new(b"a\xff?", false)
            .unwrap()
            .matches(b"a\xff\xfe")
    );
    assert!(!pattern("a?").matches(b"a\xff\xfe"));
    // No character is taken for a byte of the same number.
    assert!(
        !Pattern::new(b"\xff*", false)
            .unwrap()
            .matches("\u{ff}".as_bytes())
    );
}

#[test]
fn what_is_no_pattern_is_refused() {
    for text in ["", "!", "a[", "[a-", "[^", r"a\", r"[a\"] {
        assert!(Pattern::new(text.as_bytes(), false).is_err(), "{text}");
    }
}

#[test]
fn a_later_pattern_takes_back_what_an_earlier_one_matched() {
    let choice = choice(&["/home", "!*.tmp"], &["cache"]);
    for (path, expected) in [
        ("home/a", true),
        ("home/a.tmp", false),
        ("home/cache/a", false),
        ("srv/a", false),
    ] {
        assert_eq!(choice.has(path.as_bytes()), expected, "{path}");
    }
    assert!(choice.may_have_beneath(b"home/a") && !choice.may_have_beneath(b"home/cache"));
    assert!(!choice.may_have_beneath(b"srv"));
    assert!(Choice::default().is_all() && Choice::default().has(b"x"));
}

proptest! {
    /// Directories that are passed by hold nothing that is chosen.
    #[test]
    fn nothing_that_matches_is_beneath_what_is_ruled_out(
        text in "/?([ab*]{1,2}|\\*\\*)(/([ab*]{1,2}|\\*\\*)){0,3}",
        path in "[ab]{1,2}(/[ab]{1,2}){1,4}",
    ) {
        let pattern = pattern(&text);
        if pattern.matches(path.as_bytes()) {
            for (end, _) in path.match_indices('/') {
                prop_assert!(pattern.may_match_beneath(&path.as_bytes()[..end]), "{}", &path[..end]);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_pattern_or_are_refused(text in proptest::collection::vec(any::<u8>(), 0..20), case: bool) {
        if let Ok(pattern) = Pattern::new(&text, case) {
            pattern.matches(&text);
        }
    }
}
