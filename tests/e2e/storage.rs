//! Repositories on every kind of storage, on real servers or the stand-ins that others test with: whole, and where something is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::net::TcpListener;
use std::time::{Duration, Instant};

use copal_tests::azure::Azurite;
use copal_tests::b2::B2Account;
use copal_tests::restic::Restic;
use copal_tests::run::words;
use copal_tests::s3::S3Server;
use copal_tests::server::free_port;
use copal_tests::slow::{Line, SlowLine};
use copal_tests::ssh::SshServer;
use copal_tests::webdav::WebDavServer;
use copal_tests::{Program, TestEnvironment, sample, tree};

/// A job that is restored slowly.
const LIMITED: &str = r#"
repository = { limit-download = 1024 }
[jobs.a]
plugin = "files"
[jobs.a.restore]
roots = { files = "target" }
"#;

/// A repository is made, written, checked, restored from, and lets a snapshot go.
#[track_caller]
fn goes_round(environment: &TestEnvironment) {
    let source = environment.make_directory("source");
    sample::awkward(&source);
    environment.write(
        "copal.toml",
        format!(
            "[jobs.site]\nplugin = \"files\"\nroots = {{ files = \"{}\" }}\nretention = {{ keep-last = 1 }}\n",
            source.display()
        ),
    );
    environment
        .refused(environment.copal(["snapshots"]), 10)
        .is("no-repository");
    environment.copal(["init"]).run().succeeds();
    environment
        .refused(environment.copal(["init"]), 1)
        .is("already-initialized");
    for note in ["first", "second"] {
        environment.write("source/note", note);
        let backup = environment.copal(words("backup --yes --job site"));
        backup.run().succeeds();
    }
    assert_eq!(environment.snapshots().len(), 1);
    environment.copal(["check", "--read-data"]).run().succeeds();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same(&source, &target);
}

/// restic finds nothing wrong with a repository whose files lie in a directory of this machine.
#[track_caller]
fn restic_agrees(directory: &std::path::Path) {
    let local = TestEnvironment::new().at(directory.to_str().unwrap(), Vec::new());
    if let Some(restic) = Restic::find(&local) {
        restic.check();
    }
}

#[test]
fn a_repository_lies_on_another_host_behind_ssh() {
    let place = TestEnvironment::new();
    let Some(server) = SshServer::start(&place.path("ssh")) else {
        return;
    };
    let root = place.path("not/there yet");
    let address = root.to_str().unwrap().replace(' ', "%20");
    let environment = server.environment(std::path::Path::new(&address));
    goes_round(&environment);
    restic_agrees(&root);
}

#[test]
fn a_repository_lies_on_webdav() {
    let place = TestEnvironment::new();
    let Some(server) = WebDavServer::start(&place.path("served")) else {
        return;
    };
    goes_round(&server.environment());
    restic_agrees(&place.path("served/below/a/folder"));
}

#[test]
fn a_repository_lies_on_azure() {
    let place = TestEnvironment::new();
    let Some(server) = Azurite::start(&place.path("objects")) else {
        return;
    };
    let environment = server.environment();
    goes_round(&environment);

    let missing = environment
        .copal(["snapshots"])
        .env("COPAL_REPOSITORY", "az://no-such/x");
    environment
        .refused(missing, 1)
        .is("storage")
        .says("make the bucket or container");
    let key = "d3Jvbmc=";
    let wrong = environment
        .copal(["snapshots"])
        .env("AZURE_STORAGE_ACCOUNT_KEY", key);
    let refusal = environment.refused(wrong, 1);
    refusal.is("storage").says("check the credentials");
    assert!(
        !refusal.outcome.stderr.contains(key),
        "{}",
        refusal.outcome.stderr
    );
}

#[test]
fn a_repository_lies_on_b2() {
    let place = TestEnvironment::new();
    let account = B2Account::start(&place.path("objects"));
    let environment = account.environment();
    goes_round(&environment);
    let key = "another key than the account's";
    let wrong = environment
        .copal(["snapshots"])
        .env("B2_APPLICATION_KEY", key);
    let refusal = environment.refused(wrong, 1);
    refusal
        .is("storage")
        .says("check B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY");
    assert!(
        !refusal.outcome.stderr.contains(key),
        "{}",
        refusal.outcome.stderr
    );
}

#[test]
fn what_is_wrong_with_s3_is_said() {
    let place = TestEnvironment::new();
    let server = S3Server::start(&place.path("objects"));
    let environment = server.environment();
    for command in ["init", "snapshots"] {
        let missing = environment
            .copal([command])
            .env("COPAL_REPOSITORY", "s3://no-such/x");
        environment
            .refused(missing, 1)
            .is("storage")
            .says("make the bucket or container");
    }
    let wrong = environment
        .copal(["snapshots"])
        .env("AWS_SECRET_ACCESS_KEY", "x");
    let refusal = environment.refused(wrong, 1);
    refusal
        .is("storage")
        .says("check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY");
    for (address, said) in [
        ("webdavs://h/p", "WebDAV is written `https://`"),
        ("sftp:me@h:/p", "SFTP is written `sftp://USER@HOST/PATH`"),
        ("gopher://h/p", "no service that Copal knows"),
    ] {
        let strange = environment
            .copal(["snapshots"])
            .env("COPAL_REPOSITORY", address);
        environment.refused(strange, 1).is("storage").says(said);
    }
}

#[test]
fn a_host_whose_key_is_not_known_is_refused_with_advice() {
    let place = TestEnvironment::new();
    let Some(server) = SshServer::start(&place.path("ssh")) else {
        return;
    };
    let environment = server.environment(&place.path("root"));
    server.forget();
    let refusal = environment.refused(environment.copal(["init"]), 1);
    refusal
        .is("storage")
        .says("ssh-keyscan")
        .says("~/.ssh/known_hosts");
    assert!(!place.path("root").exists());
    server.know("host");
    environment.copal(["init"]).run().succeeds();
}

#[test]
fn attempts_are_told_with_verbose_and_counted_in_the_end() {
    let environment = TestEnvironment::new();
    let port = free_port();
    let address = format!("http://127.0.0.1:{port}/x");
    let unreachable = environment
        .copal(["snapshots", "-v"])
        .env("COPAL_REPOSITORY", &address);
    let outcome = unreachable.run().exits(1);
    let said = &outcome.stderr;
    let told =
        |line: &&str| line.contains("retry") && line.contains("read") && line.contains("config");
    assert_eq!(said.lines().filter(told).count(), 8, "{said}");
    assert!(
        said.contains("cannot be reached after 9 attempts"),
        "{said}"
    );
    assert!(said.contains("Connection refused"), "{said}");
}

#[test]
fn a_request_that_stands_still_is_given_up() {
    let environment = TestEnvironment::new();
    // Connections come about, and nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/x", listener.local_addr().unwrap());
    let program = environment
        .copal(words("snapshots --storage-timeout 1"))
        .env("COPAL_REPOSITORY", address);
    let refusal = environment.refused(program, 1);
    refusal
        .is("storage")
        .says("cannot read config after 9 attempts: nothing moved for 1 s");
}

#[test]
fn a_line_that_breaks_is_no_end() {
    let place = TestEnvironment::new();
    let server = S3Server::start(&place.path("objects"));
    let slow = Line {
        round_trip: Duration::from_millis(5),
        bytes_per_second: 4 << 20,
    };
    let line = SlowLine::to(server.port(), slow);
    let environment = server.environment_at(line.port());
    environment.copal(["init"]).run().succeeds();
    let source = environment.make_directory("source");
    std::fs::write(source.join("noise"), sample::noise(3, 40 << 20)).unwrap();
    let cut = |program: Program, moved: fn(&SlowLine) -> u64| {
        let before = moved(&line);
        let running = program.start();
        let start = Instant::now();
        while moved(&line) < before + (4 << 20) {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{:?}",
                line.traffic()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        line.cut();
        running.wait().succeeds()
    };
    cut(environment.backup("files", &source, ""), |line| {
        line.traffic().up
    });
    let target = environment.path("target");
    cut(environment.restore(&target, ""), |line| line.traffic().down);
    tree::assert_same(&source, &target);
}

#[test]
fn limits_are_kept_on_every_storage() {
    let place = TestEnvironment::new();
    let s3 = S3Server::start(&place.path("objects"));
    let mut environments = vec![s3.environment(), TestEnvironment::new()];
    let webdav = WebDavServer::start(&place.path("served"));
    environments.extend(webdav.iter().map(WebDavServer::environment));
    let ssh = SshServer::start(&place.path("ssh"));
    environments.extend(ssh.iter().map(|ssh| ssh.environment(&place.path("root"))));
    let timed = |program: Program| {
        let start = Instant::now();
        program.run().succeeds();
        start.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        for environment in &environments {
            scope.spawn(move || {
                environment.copal(["init"]).run().succeeds();
                let source = environment.make_directory("source");
                std::fs::write(source.join("noise"), sample::noise(5, 4 << 20)).unwrap();
                // What takes long is not what stands still.
                let slowly = "--limit-upload 1024 --storage-timeout 2";
                let sent = timed(environment.backup("files", &source, slowly));
                let target = environment.path("target");
                // As a job says it.
                environment.write("copal.toml", LIMITED);
                let snapshots = environment.snapshots();
                let restore = environment
                    .copal(["restore", snapshots[0]["id"].as_str().unwrap(), "--yes"])
                    .args(["--job", "a", "--to"])
                    .arg(&target);
                let received = timed(restore);
                for took in [sent, received] {
                    assert!(
                        (3.8..15.0).contains(&took),
                        "{}: {took} s",
                        environment.repository()
                    );
                }
                tree::assert_same(&source, &target);
            });
        }
    });
}
