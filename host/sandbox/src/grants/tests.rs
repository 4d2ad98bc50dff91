use proptest::collection::vec;
use proptest::prelude::*;

use super::{Grant, Grants};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn grants(all: &[&str]) -> Grants {
    all.iter()
        .map(|grant| grant.parse::<Grant>().unwrap())
        .collect()
}

#[test]
fn a_command_is_covered_word_by_word() {
    let grants = grants(&["run:docker stop jpom-*", r#"run:sh -c "echo hi""#]);
    for (argv, allowed) in [
        (&["docker", "stop", "jpom-server"][..], true),
        (&["docker", "stop", "jpom-"], true),
        (&["docker", "stop", "other"], false),
        (&["docker", "stop"], false),
        (&["docker", "stop", "jpom-a", "jpom-b"], false),
        (&["docker", "stop jpom-a"], false),
        (&["sh", "-c", "echo hi"], true),
        (&["sh", "-c", "echo", "hi"], false),
        (&[], false),
    ] {
        assert_eq!(grants.allows_command(&words(argv)), allowed, "{argv:?}");
    }
}

#[test]
fn a_grant_with_any_text_in_a_place_covers_the_same_command_elsewhere() {
    let command = |id: &str| words(&["psql", "-d", &format!("host=/tmp/{id}/s port=1"), id]);
    let grant = Grant::for_command(&command("f00d")).with_any("f00d");
    let grant: Grant = grant.to_string().parse().unwrap();
    let grants: Grants = [grant].into_iter().collect();
    assert!(grants.allows_command(&command("f00d")) && grants.allows_command(&command("beef")));
    assert!(!grants.allows_command(&words(&["psql", "-d", "host=/srv/f00d/s port=1", "f00d"])));
}

#[test]
fn a_wildcard_lets_no_option_through() {
    let grants = grants(&["run:docker stop *", "run:java -*"]);
    assert!(grants.allows_command(&words(&["docker", "stop", "jpom"])));
    assert!(!grants.allows_command(&words(&["docker", "stop", "--help"])));
    assert!(grants.allows_command(&words(&["java", "-version"])));
}

#[test]
fn a_quoted_star_is_a_star() {
    let grants = grants(&["run:ls '*'", r"run:ls a\*"]);
    assert!(grants.allows_command(&words(&["ls", "*"])));
    assert!(grants.allows_command(&words(&["ls", "a*"])));
    assert!(!grants.allows_command(&words(&["ls", "x"])));
}

#[test]
fn requests_are_covered_by_method_host_and_port() {
    let grants = grants(&["http:GET localhost:8080", "http:POST example.org:443"]);
    for (method, url, allowed) in [
        ("GET", "http://localhost:8080/health?x=1", true),
        ("get", "http://LOCALHOST:8080/", true),
        ("POST", "http://localhost:8080/", false),
        ("GET", "http://localhost:80/", false),
        ("POST", "https://example.org/api", true),
        ("GET", "http://localhost:8080@evil.example/", false),
        ("GET", "http://user:word@localhost:8080/", false),
        ("GET", "ftp://localhost:8080/", false),
        ("GET", "localhost:8080", false),
    ] {
        assert_eq!(grants.allows_http(method, url), allowed, "{method} {url}");
    }
}

#[test]
fn writing_is_covered_beneath_the_path_alone() {
    let grants = grants(&["write:home/conf", "write:data/*/cache", "write:\"my root\""]);
    for (root, path, allowed) in [
        ("home", "conf", true),
        ("home", "conf/application.yml", true),
        ("home", "configuration", false),
        ("home", "", false),
        ("data", "a/cache/x", true),
        ("data", "a/b/cache", false),
        ("my root", "anything", true),
    ] {
        assert_eq!(grants.allows_write(root, path), allowed, "{root}/{path}");
    }
}

#[test]
fn what_is_not_a_grant_is_refused_with_its_reason() {
    for (grant, reason) in [
        ("docker stop", "begins with neither"),
        ("run:", "must name the program"),
        ("run:*", "must name the program"),
        ("run:'' x", "must name the program"),
        ("run:sh 'x", "quote is not closed"),
        ("run:sh \"x", "quote is not closed"),
        ("run:sh x\\", "ends in a backslash"),
        (r#"run:sh "\n""#, "backslash is followed by"),
        ("http:GET", "needs a method"),
        ("write:", "needs one path"),
        ("write:a b", "needs one path"),
        ("write:home/../etc", "without `.` and `..`"),
        ("write:*", "must be `ROOT`"),
        ("write:/etc", "must be `ROOT`"),
    ] {
        let error = grant.parse::<Grant>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_grant_shows_no_control_characters() {
    let grant = Grant::for_command(&words(&["sh", "-c", "echo \u{1b}[2J\u{202e}\n"]));
    assert_eq!(
        grant.to_string(),
        r#"run:sh -c "echo \u{1b}[2J\u{202e}\u{a}""#
    );
}

fn argv() -> impl Strategy<Value = Vec<String>> {
    (
        r#"[a-z*' "\\]{0,6}[a-z]"#,
        vec(r#"\PC{0,8}|[-*'"\\ \n{}]{0,6}"#, 0..4),
    )
        .prop_map(|(program, mut arguments)| {
            arguments.insert(0, program);
            arguments
        })
}

proptest! {
    #[test]
    fn the_grant_for_a_command_reads_back_and_covers_it(argv in argv()) {
        let grant = Grant::for_command(&argv);
        let read: Grant = grant.to_string().parse().unwrap();
        prop_assert_eq!(&read, &grant);
        prop_assert!(Grants::from_iter([read]).allows_command(&argv));
    }

    #[test]
    fn the_grant_for_a_command_covers_no_other(one in argv(), other in argv()) {
        prop_assume!(one != other);
        prop_assert!(!Grants::from_iter([Grant::for_command(&one)]).allows_command(&other));
    }

    #[test]
    fn any_grant_that_parses_reads_back_from_what_it_shows(grant in r#"(run:|write:|http:)[a-c*'"\\/ ]{0,16}"#) {
        if let Ok(grant) = grant.parse::<Grant>() {
            prop_assert_eq!(grant.to_string().parse::<Grant>().unwrap(), grant);
        }
    }

    #[test]
    fn wildcards_never_cross_words(words in vec("[a-z ]{1,6}", 1..5), stars in 1usize..5) {
        let grant: Grant = format!("run:x{}", " *".repeat(stars)).parse().unwrap();
        let mut argv = words;
        argv.insert(0, "x".to_owned());
        prop_assert_eq!(Grants::from_iter([grant]).allows_command(&argv), argv.len() == stars + 1);
    }
}
