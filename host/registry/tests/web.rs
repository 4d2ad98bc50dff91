//! Releases on web servers, which may misbehave.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use copal_registry::{Bundle, Destination, Error, Source, fetch, publish};
use copal_trust::{COMPONENT, PUBLISHER, STATEMENT};
use server::answer_with;

/// What a server sends for a path: everything, head included.
type Answers = BTreeMap<String, Vec<u8>>;

/// A web server that sends what it was told to, and 404 for all else.
struct Server {
    address: String,
    /// The heads of the requests.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: Answers) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        let address = server::start(move |request| {
            let answer = answers.get(&request.path).cloned();
            hears.lock().unwrap().push(request.head);
            answer.unwrap_or_else(|| answer_with("404 Not Found", b""))
        });
        Self {
            address: format!("http://{address}"),
            heard,
        }
    }

    async fn fetch(&self, path: &str) -> Result<Bundle, Error> {
        fetch(&Source::parse(&format!("{}{path}", self.address))?).await
    }
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer_with(&format!("200 OK\r\nContent-Length: {}", body.len()), body)
}

fn release() -> Bundle {
    let mut bundle = Bundle::default();
    for (name, content) in [
        (COMPONENT, "component"),
        (STATEMENT, "{}"),
        ("release.json.minisig", "1"),
        ("release.json.1.minisig", "2"),
        (PUBLISHER, r#"{"version":2}"#),
        ("publisher.json.minisig", "3"),
        ("publisher.1.json", r#"{"version":1}"#),
        ("publisher.1.json.minisig", "4"),
    ] {
        bundle
            .insert(name, Bytes::from_static(content.as_bytes()))
            .unwrap();
    }
    bundle
}

/// The files of a release below `folder`.
fn files(folder: &str) -> Answers {
    let bundle = release();
    let files = bundle.files();
    files
        .map(|(name, bytes)| (format!("{folder}/{name}"), ok(bytes)))
        .collect()
}

#[tokio::test]
async fn a_release_comes_from_a_server_that_can_do_no_more_than_get() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("notebook.tar");
    let destination = Destination::parse(path.to_str().unwrap()).unwrap();
    publish(&release(), &destination, false).await.unwrap();
    let archive = std::fs::read(path).unwrap();
    let mut answers = files("/acme");
    answers.insert("/notebook.tar".to_owned(), ok(&archive));
    answers.insert("/notebook.tar?signed=1".to_owned(), ok(&archive));
    answers.insert("/notebook.wasm".to_owned(), ok(b"component"));
    let server = Server::start(answers);
    for path in [
        "/acme",
        "/acme/",
        "/acme/release.json",
        "/notebook.tar",
        "/notebook.tar?signed=1",
    ] {
        assert_eq!(server.fetch(path).await.unwrap(), release(), "{path}");
    }
    let bundle = server.fetch("/notebook.wasm").await.unwrap();
    assert_eq!(
        bundle.files().collect::<Vec<_>>(),
        [(COMPONENT, &Bytes::from_static(b"component"))]
    );
    let bundle = server.fetch("/acme/publisher.json").await.unwrap();
    assert_eq!(bundle.files().count(), 4);
    let heard = server.heard.lock().unwrap();
    assert!(
        heard
            .iter()
            .all(|head| head.starts_with("GET ") && !head.contains(".."))
    );
}

#[tokio::test]
async fn a_name_and_a_password_in_the_address_reach_the_server_and_nobody_else() {
    let server = Server::start(files(""));
    let address = server
        .address
        .replace("http://", "http://me%40home:s3c%3Aret@");
    let source = Source::parse(&address).unwrap();
    fetch(&source).await.unwrap();
    let heard = server.heard.lock().unwrap();
    // me@home:s3c:ret
    assert!(
        heard
            .iter()
            .all(|head| head.contains("Basic bWVAaG9tZTpzM2M6cmV0"))
    );
    assert!(!heard.iter().any(|head| head.contains("me%40home")));
    assert!(!format!("{source} {source:?}").contains("s3c"));
}

#[tokio::test]
async fn credentials_do_not_follow_a_server_to_another_one() {
    let other = Server::start(files(""));
    let mut answers = Answers::new();
    let head = format!(
        "302 Found\r\nContent-Length: 0\r\nLocation: {}/plugin.wasm",
        other.address
    );
    answers.insert("/plugin.wasm".to_owned(), answer_with(&head, b""));
    let server = Server::start(answers);
    let address = server.address.replace("http://", "http://me:s3cret@");
    fetch(&Source::parse(&address).unwrap()).await.unwrap();
    let heard = other.heard.lock().unwrap();
    assert_eq!(heard.len(), 1);
    assert!(
        !heard[0].to_ascii_lowercase().contains("authorization"),
        "{}",
        heard[0]
    );
}

#[tokio::test]
async fn a_secret_query_does_not_follow_a_server_to_another_one() {
    let other = Server::start(Answers::from([("/x.wasm".to_owned(), ok(b"component"))]));
    let head = format!("302 Found\r\nLocation: {}/x.wasm", other.address);
    let server = Server::start(Answers::from([(
        "/x.wasm?s3cret".to_owned(),
        answer_with(&head, b""),
    )]));
    server.fetch("/x.wasm?s3cret").await.unwrap();
    let heard = other.heard.lock().unwrap();
    let head = heard[0].to_ascii_lowercase();
    assert!(
        !head.contains("s3cret") && !head.contains("referer"),
        "{head}"
    );
}

#[tokio::test]
async fn what_is_not_the_file_is_told_apart() {
    let page = b"<html>Log in";
    let html = "200 OK\r\nContent-Type: text/html; charset=utf-8";
    let mut answers = files("/spa");
    for path in ["/html/plugin.wasm", "/spa/publisher.2.json", "/login"] {
        answers.insert(path.to_owned(), answer_with(html, page));
    }
    for (path, head, body) in [
        ("/moved/plugin.wasm", "302 Found\r\nLocation: /login", ""),
        (
            "/round/plugin.wasm",
            "302 Found\r\nLocation: /round/plugin.wasm",
            "",
        ),
        ("/secret/plugin.wasm", "401 Unauthorized", ""),
        ("/broken/plugin.wasm", "500 Oops", "it \x1b[31mhurts"),
        (
            "/partial/plugin.wasm",
            "206 Partial Content\r\nContent-Range: bytes 0-3/900",
            "comp",
        ),
        ("/cut/plugin.wasm", "200 OK\r\nContent-Length: 900", "comp"),
        (
            "/claims/release.json",
            "200 OK\r\nContent-Length: 9000000000",
            "{}",
        ),
    ] {
        answers.insert(path.to_owned(), answer_with(head, body.as_bytes()));
    }
    let endless = vec![b' '; 2 << 20];
    answers.insert(
        "/endless/release.json".to_owned(),
        answer_with("200 OK", &endless),
    );
    let server = Server::start(answers);
    for (folder, kind, message) in [
        (
            "/html",
            "web-page",
            "asked for plugin.wasm, the server sends a web page",
        ),
        ("/moved", "web-page", "/login"),
        ("/round", "unreachable", "from place to place"),
        ("/secret", "denied", "refuses access to plugin.wasm (401)"),
        (
            "/broken",
            "answer",
            "500 Internal Server Error: it \\u{1b}[31mhurts",
        ),
        ("/partial", "answer", "206"),
        ("/cut", "unreachable", "end of file"),
        (
            "/claims",
            "too-large",
            "release.json has more than 1048576 bytes",
        ),
        (
            "/endless",
            "too-large",
            "release.json has more than 1048576 bytes",
        ),
        ("/nothing", "empty", "holds no file of a plugin's release"),
        ("/nothing.tar", "missing", "/nothing.tar does not exist"),
        ("/nothing.wasm", "missing", "/nothing.wasm does not exist"),
    ] {
        let error = server.fetch(folder).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{folder}: {error}");
        assert!(error.to_string().contains(message), "{folder}: {error}");
        assert!(error.to_string().starts_with(&server.address), "{error}");
    }
    // A page for what isn't there is as good as a 404, once there is a release.
    assert_eq!(server.fetch("/spa").await.unwrap(), release());
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left() {
    let mut answers = Answers::new();
    let head = "200 OK\r\nContent-Length: 900";
    answers.insert("/silent/plugin.wasm".to_owned(), answer_with(head, b"comp"));
    let server = Server::start(answers);
    let fetching = server.fetch("/silent");
    let fetched = tokio::time::timeout(Duration::from_secs(60), fetching).await;
    let error = fetched.expect("it is left in time").unwrap_err();
    assert!(
        error.to_string().ends_with("it takes too long to answer"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there_is_told_without_the_credentials() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let source = Source::parse(&format!("http://me:s3cret@{address}/x.tar?s3cret")).unwrap();
    let error = fetch(&source).await.unwrap_err();
    assert_eq!(error.kind(), "unreachable", "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("http://{address}/x.tar can't be reached"))
    );
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}
