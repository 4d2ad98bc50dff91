//! The same on a real S3 server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use copal_tests::restic::Restic;
use copal_tests::s3::S3Server;
use copal_tests::{TestEnvironment, interoperation, sample};

fn server() -> (TestEnvironment, S3Server) {
    let place = TestEnvironment::new();
    let server = S3Server::start(&place.path("objects"));
    (place, server)
}

#[test]
fn restic_checks_and_restores_what_copal_wrote() {
    let (_place, server) = server();
    let environment = server.environment();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    interoperation::restic_restores_what_copal_wrote(&environment, &restic);
}

#[test]
fn copal_restores_what_restic_wrote() {
    let (_place, server) = server();
    let environment = server.environment();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    interoperation::copal_restores_what_restic_wrote(&environment, &restic);
}

#[test]
fn both_cut_files_at_the_same_places() {
    let (_place, server) = server();
    let environment = server.environment();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    interoperation::both_cut_at_the_same_places(&environment, &restic);
}

#[test]
fn errors_have_the_same_exit_codes_as_on_a_local_path() {
    let (_place, server) = server();
    let environment = server.environment();
    environment
        .refused(environment.copal(["snapshots"]), 10)
        .is("no-repository");
    environment.copal(["init"]).run().succeeds();
    environment
        .refused(environment.copal(["init"]), 1)
        .is("already-initialized");
    let wrong = environment
        .copal(["snapshots"])
        .env("COPAL_PASSWORD", "wrong");
    environment.refused(wrong, 12).is("wrong-password");
    let source = environment.make_directory("source");
    sample::simple(&source);
    environment.backup("files", &source, "").run().succeeds();
    environment.copal(["check", "--read-data"]).run().succeeds();
}

#[test]
fn wrong_credentials_are_told_from_a_missing_repository_and_never_shown() {
    let (_place, server) = server();
    let environment = server.environment();
    environment.copal(["init"]).run().succeeds();
    let secret = "not the secret of this server";
    let program = environment
        .copal(["snapshots"])
        .env("AWS_SECRET_ACCESS_KEY", secret);
    let refusal = environment.refused(program, 1);
    refusal.is("storage");
    assert!(
        !refusal.outcome.stderr.contains(secret),
        "{}",
        refusal.outcome.stderr
    );
}
