use serde_json::json;

use super::types::Window;
use super::*;

const FILE: &str = r#"
[repository]
url = "snapshots"
password = { file = "password" }
environment = { AWS_REGION = "eu-1" }

[jobs.plain]
plugin = "files"
roots = { files = "data", more = "/srv/more" }
config = { exclude = ["*.tmp", { file = "pattern" }] }

[jobs.own]
plugin = "./own.wasm"
grants = ["run:docker stop own"]
repository = { url = "s3://bucket/own" }
streams = [{ name = "a.sql", command = ["dump"], window = "live" }]
retention = { keep-daily = 7, keep-within = "30d" }
[jobs.own.restore]
roots = { data = "target" }
intent = "clone"
snapshot = "latest"
[jobs.own.drill]
evidence = "evidence"
postgres = { databases = ["a"], bin = "bin" }
hooks = { after = [["true"]] }
"#;

fn parse(text: &str) -> Config {
    let mut config = Config::parse(
        Path::new("copal.toml"),
        Path::new("/etc/copal"),
        text.to_owned(),
    );
    config.load();
    config
}

#[test]
fn a_job_gets_what_the_file_says_for_all_and_paths_from_where_the_file_lies() {
    let job = parse(FILE).job("plain").unwrap();
    assert_eq!(job.plugin, "files");
    assert_eq!(job.tag(), "job:plain");
    assert_eq!(job.roots["files"], Path::new("/etc/copal/data"));
    assert_eq!(job.roots["more"], Path::new("/srv/more"));
    let expected = json!({"exclude": ["*.tmp", {"file": "/etc/copal/pattern"}]});
    assert_eq!(Value::Object(job.config), expected);
    assert_eq!(
        job.repository.url.unwrap().reveal().unwrap(),
        "/etc/copal/snapshots"
    );
    let password = Reference::File("/etc/copal/password".into());
    assert_eq!(job.repository.password, Some(password));
    assert!(job.retention.is_none() && job.hooks.before.is_empty());
}

#[test]
fn a_jobs_own_sections_are_read() {
    let job = parse(FILE).job("own").unwrap();
    assert_eq!(job.plugin, "/etc/copal/own.wasm");
    assert!(matches!(job.streams[0].window, Window::Live));
    assert_eq!(job.streams[0].timeout, 3_600);
    assert_eq!(job.retention.as_ref().unwrap().keep_daily, 7);
    let restore = job.restore.as_ref().unwrap();
    assert_eq!(restore.place.roots["data"], Path::new("/etc/copal/target"));
    assert_eq!(restore.snapshot.as_deref(), Some("latest"));
    let drill = job.drill.as_ref().unwrap();
    assert_eq!(
        drill.evidence.as_deref(),
        Some(Path::new("/etc/copal/evidence"))
    );
    assert_eq!(drill.place.hooks.after, [["true"]]);
    assert_eq!(drill.place.hooks.timeout, 600);
    assert!(job.migrate.is_none());
}

#[test]
fn another_repository_has_no_password_of_the_first() {
    let job = parse(FILE).job("own").unwrap();
    assert_eq!(
        job.repository.url.as_ref().unwrap().reveal().unwrap(),
        "s3://bucket/own"
    );
    assert!(job.repository.password.is_none() && job.repository.environment.is_empty());
}

#[test]
fn a_mistake_in_one_job_does_not_stop_another_and_one_outside_of_jobs_stops_all() {
    let config = parse("[jobs.a]\nplugin = 1\n[jobs.b]\nplugin = \"files\"\n");
    assert!(config.job("a").is_err());
    assert!(config.job("b").is_ok());
    let config = parse("repo = 1\n[jobs.b]\nplugin = \"files\"\n");
    assert!(
        config
            .job("b")
            .unwrap_err()
            .to_string()
            .contains("1:1: error: repo: unknown key")
    );
    let config = parse("[jobs.b\nplugin = \"files\"\n");
    assert!(config.job("b").is_err());
}

#[test]
fn the_tags_of_copals_own_are_refused() {
    let job = |tag: &str| {
        let text = format!("[jobs.a]\nplugin = \"files\"\ntags = [\"{tag}\"]\n");
        parse(&text).job("a")
    };
    assert!(job("nightly").is_ok());
    for own in ["safety", "incomplete", "job:b", "plugin:copal/files"] {
        let refused = job(own).unwrap_err().to_string();
        assert!(refused.contains("3:9: error: jobs.a.tags.0"), "{refused}");
        assert!(refused.contains("for Copal alone"), "{refused}");
    }
}

#[test]
fn the_schema_knows_every_key_of_the_types_and_has_no_null() {
    let schema = SCHEMA.to_string();
    assert!(!schema.contains("null"), "{schema}");
    for (pointer, key) in [
        ("/$defs/Job/properties", "streams"),
        ("/$defs/Restore/properties", "roots"),
        ("/$defs/Drill/properties", "postgres"),
        ("/$defs/RetentionPolicy/properties", "keep-last"),
    ] {
        assert!(
            SCHEMA
                .pointer(pointer)
                .is_some_and(|found| found.get(key).is_some()),
            "{pointer}/{key}"
        );
    }
    assert_eq!(
        SCHEMA["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(SCHEMA["additionalProperties"], false);
}

#[test]
fn a_key_is_shown_as_it_is_written() {
    assert_eq!(
        problem::dotted("/jobs/a/streams/0/name"),
        "jobs.a.streams.0.name"
    );
    assert_eq!(
        problem::dotted("/jobs/a/x.y/a~1b~0"),
        r#"jobs.a."x.y"."a/b~""#
    );
    assert_eq!(problem::dotted(""), "");
}
