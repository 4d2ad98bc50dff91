use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CapabilityPattern, Grant, Grants, Need};
use crate::types::{Command, HttpRequest, Variable};

fn command(words: &[&str]) -> Command {
    let names = words.iter().take_while(|word| word.ends_with('='));
    let environment: Vec<_> = names
        .map(|name| Variable {
            name: name.trim_end_matches('=').to_owned(),
            value: vec![],
        })
        .collect();
    // Braces are doubled, as a plugin writes them.
    let braces = |word: &&str| word.replace('{', "{{").replace('}', "}}");
    Command {
        argv: words.iter().skip(environment.len()).map(braces).collect(),
        environment,
        stdin: None,
        descriptors: vec![],
        timeout: 1,
    }
}

fn run(words: &[&str]) -> Need {
    Need::run(&command(words))
}

fn http(method: &str, url: &str) -> Result<Need, &'static str> {
    Need::http(&HttpRequest {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: vec![],
        body: None,
        expect: vec![],
        timeout: 1,
    })
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
        (&["DOCKER_HOST=", "docker", "stop", "jpom-a"], false),
        (&["/tmp/docker", "stop", "jpom-a"], false),
        (&["sh", "-c", "echo hi"], true),
        (&["sh", "-c", "echo", "hi"], false),
        (&[], false),
    ] {
        assert_eq!(grants.allow(&run(argv)), allowed, "{argv:?}");
    }
}

#[test]
fn what_looks_and_what_acts_are_allowed_apart() {
    let words = command(&["docker", "inspect", "jpom"]);
    let (look, act) = (Need::probe(&words), Need::run(&words));
    for (grant, looks, acts) in [
        ("probe:docker inspect *", true, false),
        ("run:docker inspect *", false, true),
        ("write:docker", false, false),
    ] {
        let grants = grants(&[grant]);
        assert_eq!(
            (grants.allow(&look), grants.allow(&act)),
            (looks, acts),
            "{grant}"
        );
    }
    assert_eq!(look.to_string(), "probe:docker inspect jpom");
}

#[test]
fn a_grant_with_any_text_in_a_place_covers_the_same_command_elsewhere() {
    let need =
        |place: &str, id: &str| run(&["psql", "-d", &format!("host={place}/{id}/s port=1"), id]);
    let grant = need("/tmp", "f00d").grant().with_any("f00d");
    let grant: Grant = grant.to_string().parse().unwrap();
    let grants: Grants = [grant].into_iter().collect();
    assert!(grants.allow(&need("/tmp", "f00d")) && grants.allow(&need("/tmp", "beef")));
    assert!(!grants.allow(&need("/srv", "f00d")));
}

#[test]
fn a_wildcard_lets_through_no_option_no_file_of_options_and_no_way_out() {
    for (grant, argument, allowed) in [
        ("run:x *", "jpom", true),
        ("run:x *", "--help", false),
        ("run:x *", "-", false),
        ("run:x *", "@/tmp/options", false),
        ("run:x *", "", false),
        ("run:x ''", "", true),
        ("run:x a*", "a", true),
        ("run:x -*", "-version", true),
        ("run:x -*", "@file", false),
        ("run:x @*", "@file", true),
        ("run:x @*", "-version", false),
        ("run:x /srv/*", "/srv/a/b", true),
        ("run:x /srv/*", "/srv/../etc", false),
        ("run:x /srv/*", "/srv/..", false),
        ("run:x /srv/*", "/srv/..a/b..", true),
        ("run:x /srv/*", "/srv/...", true),
        ("run:x /srv/*:/data", "/srv/a:/data", true),
        ("run:x /srv/*:/data", "/srv/..:/data", false),
        (
            "run:x source=/srv/*,target=/d",
            "source=/srv/a,target=/d",
            true,
        ),
        (
            "run:x source=/srv/*,target=/d",
            "source=/srv/..,target=/d",
            false,
        ),
        ("run:x 'a;'*", "a;..;b", false),
        ("run:x --dir=*", "--dir=../etc", false),
        ("run:x --dir=*", "--dir=..", false),
        ("run:x -C*", "-C..", false),
        ("run:x -C*", "-C../etc", false),
        ("run:x -C*", "-Cbuild", true),
        ("run:x *", r"\..\", false),
        ("run:x *", "HEAD..main", true),
        ("run:x /srv/../*", "/srv/../a", false),
        ("run:x /srv/../a", "/srv/../a", true),
        ("run:x */dump.sql", "dump.sql", true),
        ("run:x */dump.sql", "/srv/a/dump.sql", true),
        ("run:x */dump.sql", "-/dump.sql", false),
        ("run:x */dump.sql", "other-dump.sql", false),
        ("run:x '*'", "*", true),
        (r"run:x a\*", "a*", true),
        ("run:x '*'", "y", false),
        ("run:x {root:home}/*", "{root:home}/a", true),
        ("run:x {root:home}/*", "{root:data}/a", false),
    ] {
        assert_eq!(
            grants(&[grant]).allow(&run(&["x", argument])),
            allowed,
            "{grant} for {argument:?}"
        );
    }
}

#[test]
fn a_program_is_the_one_that_is_named() {
    for (grant, program, allowed) in [
        ("run:psql", "psql", true),
        ("run:psql", "/usr/bin/psql", false),
        ("run:/usr/bin/psql", "psql", false),
        ("run:*/psql", "psql", true),
        ("run:*/psql", "/usr/bin/psql", true),
        ("run:*/psql", "/usr/bin/other-psql", false),
        ("run:*/psql", "/psql/other", false),
        ("run:/opt/*/bin/java", "/opt/jdk-17/bin/java", true),
        ("run:/opt/*/bin/java", "/opt/a/b/bin/java", false),
        ("run:/opt/jdk-*/bin/java", "/opt/jdk-17/bin/java", true),
        ("run:{root:home}/bin/x", "{root:home}/bin/x", true),
        ("run:{root:home}/bin/x", "/root/bin/x", false),
    ] {
        assert_eq!(
            grants(&[grant]).allow(&run(&[program])),
            allowed,
            "{grant} for {program}"
        );
    }
}

#[test]
fn the_variables_of_a_command_are_part_of_what_is_allowed() {
    for (grant, words, allowed) in [
        (
            "run:PGPASSWORD= psql *",
            &["PGPASSWORD=", "psql", "x"][..],
            true,
        ),
        ("run:PGPASSWORD= psql *", &["psql", "x"], false),
        ("run:psql *", &["PGPASSWORD=", "psql", "x"], false),
        ("run:[PGPASSWORD=] psql *", &["psql", "x"], true),
        (
            "run:[PGPASSWORD=] psql *",
            &["PGPASSWORD=", "psql", "x"],
            true,
        ),
        (
            "run:[PGPASSWORD=] psql *",
            &["LD_PRELOAD=", "psql", "x"],
            false,
        ),
        ("run:B= A= x", &["A=", "B=", "x"], true),
        ("run:x A=", &["x", "A="], true),
        ("run:x A=", &["A=", "x"], false),
    ] {
        assert_eq!(
            grants(&[grant]).allow(&run(words)),
            allowed,
            "{grant} for {words:?}"
        );
    }
}

#[test]
fn words_in_brackets_may_be_left_out() {
    let grants = grants(&["run:[docker exec *] psql -d * [-h *] [-p *] '[x]'"]);
    for (words, allowed) in [
        (&["psql", "-d", "a", "[x]"][..], true),
        (&["psql", "-d", "a", "-p", "1", "[x]"], true),
        (&["psql", "-d", "a", "-h", "b", "-p", "1", "[x]"], true),
        (&["docker", "exec", "c", "psql", "-d", "a", "[x]"], true),
        (&["psql", "-d", "a", "-p", "1", "-h", "b", "[x]"], false),
        (&["psql", "-d", "a", "-h", "[x]"], false),
        (&["psql", "-d", "a"], false),
        (&["docker", "exec", "psql", "-d", "a", "[x]"], false),
        (&["podman", "exec", "c", "psql", "-d", "a", "[x]"], false),
    ] {
        assert_eq!(grants.allow(&run(words)), allowed, "{words:?}");
    }
}

#[test]
fn requests_are_covered_by_method_host_and_port() {
    for (grant, method, url, allowed) in [
        (
            "http:GET localhost:8080",
            "GET",
            "http://localhost:8080/health?x=1",
            true,
        ),
        (
            "http:GET localhost:8080",
            "get",
            "http://LOCALHOST:8080/",
            true,
        ),
        (
            "http:get LOCALHOST:8080",
            "GET",
            "http://localhost:8080/",
            true,
        ),
        (
            "http:GET localhost:8080",
            "POST",
            "http://localhost:8080/",
            false,
        ),
        (
            "http:GET localhost:8080",
            "GET",
            "http://localhost:80/",
            false,
        ),
        ("http:* localhost:*", "DELETE", "http://localhost:1/", true),
        (
            "http:POST example.org:443",
            "POST",
            "https://example.org/api",
            true,
        ),
        (
            "http:POST example.org:443",
            "POST",
            "http://example.org/api",
            false,
        ),
        // Whole labels in front.
        (
            "http:GET *.example.org:80",
            "GET",
            "http://a.example.org/",
            true,
        ),
        (
            "http:GET *.example.org:80",
            "GET",
            "http://a.b.example.org/",
            true,
        ),
        (
            "http:GET *.example.org:80",
            "GET",
            "http://example.org/",
            false,
        ),
        (
            "http:GET *.example.org:80",
            "GET",
            "http://notexample.org/",
            false,
        ),
        (
            "http:GET *.example.org:80",
            "GET",
            "http://a.example.org.evil.com/",
            false,
        ),
        (
            "http:GET *.example.org:80",
            "GET",
            "http://evil.com/.example.org",
            false,
        ),
        // Within one label.
        (
            "http:GET db-*.example.org:80",
            "GET",
            "http://db-1.example.org/",
            true,
        ),
        (
            "http:GET db-*.example.org:80",
            "GET",
            "http://db-1.evil.example.org/",
            false,
        ),
        (
            "http:GET a.*.example.org:80",
            "GET",
            "http://a.b.example.org/",
            true,
        ),
        (
            "http:GET a.*.example.org:80",
            "GET",
            "http://a.b.c.example.org/",
            false,
        ),
        ("http:GET gitlab-*:80", "GET", "http://gitlab-1/", true),
        (
            "http:GET gitlab-*:80",
            "GET",
            "http://gitlab-1.evil.com/",
            false,
        ),
        // Addresses are no names, and names no addresses.
        ("http:GET 10.0.0.*:80", "GET", "http://10.0.0.7/", true),
        (
            "http:GET 10.0.0.*:80",
            "GET",
            "http://10.0.0.evil.com/",
            false,
        ),
        ("http:GET 10.0.0.*:80", "GET", "http://10.0.0.com/", false),
        ("http:GET 10.0.0.*:80", "GET", "http://10.0.1.7/", false),
        ("http:GET 10.0.0.1*:80", "GET", "http://10.0.0.19/", true),
        ("http:GET 127.0.0.1:80", "GET", "http://2130706433/", true),
        ("http:GET 127.0.0.1:80", "GET", "http://0x7f.1/", true),
        (
            "http:GET 127.0.0.1:80",
            "GET",
            "http://127.0.0.1.evil.com/",
            false,
        ),
        (
            "http:GET 127.0.0.1:80",
            "GET",
            "http://[::ffff:127.0.0.1]/",
            false,
        ),
        (
            "http:GET [::1]:80",
            "GET",
            "http://[0:0:0:0:0:0:0:1]/",
            true,
        ),
        ("http:GET [::1]:80", "GET", "http://[::2]/", false),
        ("http:GET *:80", "GET", "http://10.0.0.7/", true),
        ("http:GET *:80", "GET", "http://[::1]/", true),
        ("http:GET *:80", "GET", "http://example.org/", true),
        ("http:GET *:80", "GET", "http://example.org:81/", false),
        // One spelling of a name.
        (
            "http:GET bücher.example:80",
            "GET",
            "http://xn--bcher-kva.example/",
            true,
        ),
        (
            "http:GET xn--bcher-kva.example:80",
            "GET",
            "http://B%C3%BCCHER.example/",
            true,
        ),
    ] {
        let need = http(method, url).unwrap();
        assert_eq!(
            grants(&[grant]).allow(&need),
            allowed,
            "{grant} for {method} {url}"
        );
    }
}

#[test]
fn a_url_that_hides_where_it_leads_is_covered_by_nothing() {
    for (url, reason) in [
        ("http://localhost:8080@evil.example/", "user or a password"),
        ("http://user:word@localhost:8080/", "user or a password"),
        ("http://:word@localhost/", "user or a password"),
        ("ftp://localhost:8080/", "not `http://`"),
        ("localhost:8080", "not `http://`"),
        ("http://", "not `http://`"),
        ("http://example.org./", "single dots"),
        ("http://a..b/", "single dots"),
        ("http://*.example.org/", "single dots"),
        ("http://exa\nmple.org/", "control characters"),
        ("http://example.org\t.evil.com/", "control characters"),
        (" http://example.org/", "spaces"),
        ("http://good.example\\@evil.example/", "backslash"),
        ("http://[::1%25eth0]/", "not `http://`"),
    ] {
        let refused = http("GET", url).unwrap_err();
        assert!(refused.contains(reason), "{url}: {refused}");
    }
}

#[test]
fn a_method_that_a_grant_can_not_show_is_covered_by_nothing() {
    for method in ["*", "", "M!X", "GET *", "G\nT", "GÉT"] {
        let refused = http(method, "http://localhost/").unwrap_err();
        assert!(refused.contains("its method"), "{method}: {refused}");
    }
    let need = http("version-control", "http://localhost/").unwrap();
    assert_eq!(need.to_string(), "http:VERSION-CONTROL localhost:80");
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
        ("data", "-a/cache", true),
        ("my root", "anything", true),
    ] {
        assert_eq!(
            grants.allow(&Need::write(root, path)),
            allowed,
            "{root}/{path}"
        );
    }
}

#[test]
fn what_is_not_a_grant_is_refused_with_its_reason() {
    for (grant, reason) in [
        ("docker stop", "begins with none"),
        ("run:", "must name the program"),
        ("run:*", "must be written out"),
        ("run:doc*", "must be written out"),
        ("run:/usr/bin/*", "must be written out"),
        ("run:'' x", "must name the program"),
        ("run:/usr/bin/ x", "must name the program"),
        ("run:./x", "neither a name nor an absolute path"),
        ("run:bin/x", "neither a name nor an absolute path"),
        ("run:/usr/../x", "neither a name nor an absolute path"),
        ("run:a=b", "has no `=`"),
        ("run:A-B= x", "name of a variable"),
        ("run:PG*= x", "name of a variable"),
        ("run:A=", "must name the program"),
        ("run:[*] x", "must be written out"),
        ("run:[x", "not closed"),
        ("run:x [a [b]]", "within brackets"),
        ("run:x []", "nothing within brackets"),
        ("run:[A= x] y", "same brackets"),
        ("run:{setting:a}", "description names settings"),
        ("run:sh 'x", "quote is not closed"),
        ("run:sh \"x", "quote is not closed"),
        ("run:sh x\\", "ends in a backslash"),
        (r#"run:sh "\n""#, "backslash is followed by"),
        ("http:GET", "needs a method"),
        ("http:GET a:1 b", "needs a method"),
        ("http:GET example.org", "with a port"),
        ("http:GET example.org:", "with a port"),
        ("http:GET example.org:0", "with a port"),
        ("http:GET example.org:+80", "with a port"),
        ("http:GET example.org:65536", "with a port"),
        ("http:GET example.org:80*", "with a port"),
        ("http:G*T example.org:80", "neither a word"),
        ("http:GET example.*:80", "must be written out"),
        ("http:GET *.*:80", "must be written out"),
        ("http:GET a.*.7:80", "is no number"),
        ("http:GET 10.*:80", "four numbers"),
        ("http:GET example.org.:80", "single dots"),
        ("http:GET user@example.org:80", "neither a name"),
        ("http:GET exam/ple.org:80", "neither a name"),
        ("http:GET *.exam/ple.org:80", "labels of letters"),
        ("http:GET *.bücher.example:80", "labels of letters"),
        ("http:GET [::*]:80", "labels of letters"),
        ("write:", "needs one path"),
        ("write:a b", "needs one path"),
        ("write:home/../etc", "without `.` and `..`"),
        ("write:*", "root written out"),
        ("write:h*/x", "root written out"),
        ("write:/etc", "must be `ROOT`"),
    ] {
        match grant.parse::<Grant>() {
            Ok(read) => panic!("{grant} is taken for {read}"),
            Err(error) => assert!(error.to_string().contains(reason), "{grant}: {error}"),
        }
    }
    let long = format!("run:x{}", " a".repeat(200));
    assert!(long.parse::<Grant>().is_err());
    let optional = format!("run:x{}", " [a]".repeat(9));
    assert!(optional.parse::<Grant>().is_err());
}

#[test]
fn a_grant_shows_no_character_that_hides_something() {
    for (word, shown) in [
        (
            "echo \u{1b}[2J\u{202e}\n",
            r#""echo \u{1b}[2J\u{202e}\u{a}""#,
        ),
        ("jpom\u{3164}", r#""jpom\u{3164}""#),
        ("a\u{200b}b", r#""a\u{200b}b""#),
        ("", r#""""#),
        ("[a]", r#""[a]""#),
        ("*", r#""*""#),
        ("{setting:a}", r#""{setting:a}""#),
    ] {
        assert_eq!(run(&["sh", word]).to_string(), format!("run:sh {shown}"));
    }
}

#[test]
fn a_capability_takes_the_words_of_settings() {
    let settings = json!({
        "via": ["ssh", "db 1"], "java": "/opt/jdk/bin/java", "none": [], "url": "https://example.org/api", "at": "localhost:3000",
        "quiesce": [{"run": ["cc", "stop"]}, {"run": ["uaa", "{x}"]}], "secrets": {"A": "1", "B": "2"}, "number": 7,
    });
    for (pattern, words, covered) in [
        (
            "run:{setting:java} -version",
            &["/opt/jdk/bin/java", "-version"][..],
            true,
        ),
        ("run:{setting:java} -version", &["java", "-version"], false),
        (
            "run:[{setting:via}] */psql *",
            &["ssh", "db 1", "psql", "x"],
            true,
        ),
        (
            "run:[{setting:via}] */psql *",
            &["ssh", "'db 1'", "/usr/bin/psql", "x"],
            true,
        ),
        ("run:[{setting:via}] */psql *", &["psql", "x"], true),
        (
            "run:[{setting:via}] */psql *",
            &["ssh", "db2", "psql", "x"],
            false,
        ),
        ("run:[{setting:via}] */psql *", &["ssh", "psql", "x"], false),
        ("run:{setting:via} psql", &["psql"], false),
        (
            "run:{setting:absent|via} psql",
            &["ssh", "db 1", "psql"],
            true,
        ),
        ("run:{setting:none} psql", &["psql"], false),
        ("run:{setting:number}", &["7"], false),
        ("run:{setting:quiesce.run}", &["cc", "stop"], true),
        ("run:{setting:quiesce.run}", &["uaa", "{x}"], true),
        ("run:{setting:quiesce.run}", &["cc", "{x}"], false),
        ("run:{setting:quiesce.run}", &["cc", "stop", "x"], false),
        ("run:{setting:secrets}= x", &["A=", "B=", "x"], true),
        ("run:{setting:secrets}= x", &["x"], true),
        ("run:{setting:secrets}= x", &["C=", "x"], false),
    ] {
        let read: CapabilityPattern = pattern.parse().unwrap();
        assert_eq!(
            read.covers(&run(words), &settings),
            covered,
            "{pattern} for {words:?}"
        );
        assert!(!read.covers(&run(words), &Value::Null) || !words.contains(&"ssh"));
        assert_eq!(read.to_string(), pattern);
        assert!(read.grant().is_none());
    }
    let to: CapabilityPattern = "http:GET {setting:url|at}".parse().unwrap();
    for (url, covered) in [
        ("https://example.org/x", true),
        ("http://localhost:3000/", true),
        ("http://example.org/", false),
        ("https://evil.org/?https://example.org", false),
    ] {
        assert_eq!(
            to.covers(&http("GET", url).unwrap(), &settings),
            covered,
            "{url}"
        );
    }
    for url in [
        "ftp://example.org",
        "http://user:word@example.org",
        "http://",
    ] {
        let settings = json!({"url": url});
        for host in ["ftp", "http", "example.org"] {
            let need = http("GET", &format!("http://{host}/")).unwrap();
            assert!(!to.covers(&need, &settings), "{host} by {url}");
        }
    }
    let plain: CapabilityPattern = "run:docker stop *".parse().unwrap();
    assert_eq!(plain.grant(), Some("run:docker stop *".parse().unwrap()));
}

#[test]
fn comparing_takes_no_time_that_a_pattern_could_make_long() {
    let groups = "[a b c d e f g h] ".repeat(8);
    let pattern = format!("run:x {groups}{}", "*".repeat(1_000));
    let pattern: CapabilityPattern = pattern.parse().unwrap();
    let many = vec!["a"; 100_000];
    let words: Vec<_> = ["x"].into_iter().chain(many).collect();
    let began = std::time::Instant::now();
    assert!(!pattern.covers(&run(&words), &Value::Null));
    assert!(began.elapsed().as_secs() < 5);
}

fn argv() -> impl Strategy<Value = Vec<String>> {
    (
        r#"[a-z*' "\\\[\]]{0,6}[a-z]"#,
        vec(r#"\PC{0,8}|[-*'"\\ \n\[\]=@]{0,6}"#, 0..4),
    )
        .prop_map(|(program, mut arguments)| {
            arguments.insert(0, program);
            arguments
        })
}

fn run_all(argv: &[String]) -> Need {
    let words: Vec<_> = argv.iter().map(String::as_str).collect();
    run(&words)
}

proptest! {
    #[test]
    fn the_grant_for_a_command_reads_back_and_covers_it(argv in argv()) {
        let need = run_all(&argv);
        let read: Grant = need.to_string().parse().unwrap();
        prop_assert_eq!(&read, &need.grant());
        prop_assert!(Grants::from_iter([read]).allow(&need));
    }

    #[test]
    fn the_grant_for_a_command_covers_no_other(one in argv(), other in argv()) {
        prop_assume!(one != other);
        prop_assert!(!Grants::from_iter([run_all(&one).grant()]).allow(&run_all(&other)));
    }

    #[test]
    fn any_grant_that_parses_reads_back_from_what_it_shows(grant in r#"(run:|probe:|write:|http:)[a-c*'"\\/ \[\]=.:1{}]{0,16}"#) {
        if let Ok(grant) = grant.parse::<Grant>() {
            prop_assert_eq!(grant.to_string().parse::<Grant>().unwrap(), grant);
        }
    }

    #[test]
    fn any_capability_that_parses_reads_back_from_what_it_shows(grant in r#"(run:|http:)([a*'"\\/ \[\]=]|\{setting:a\}){0,10}"#) {
        if let Ok(grant) = grant.parse::<CapabilityPattern>() {
            prop_assert_eq!(grant.to_string().parse::<CapabilityPattern>().unwrap(), grant);
        }
    }

    #[test]
    fn wildcards_never_cross_words(words in vec("[a-z ]{1,6}", 1..5), stars in 1usize..5) {
        let grant: Grant = format!("run:x{}", " *".repeat(stars)).parse().unwrap();
        let mut argv = words;
        argv.insert(0, "x".to_owned());
        prop_assert_eq!(Grants::from_iter([grant]).allow(&run_all(&argv)), argv.len() == stars + 1);
    }

    #[test]
    fn a_request_is_covered_by_its_own_grant_and_no_name_by_an_address(host in "[a-z0-9.-]{1,12}", port in 1u16..) {
        if let Ok(need) = http("GET", &format!("http://{host}:{port}/")) {
            let read: Grant = need.to_string().parse().unwrap();
            prop_assert!(Grants::from_iter([read]).allow(&need));
        }
    }
}
