//! Releases in a registry as today's are: it lists what refers to an artifact, and wants a token. No package of Debian's brings one, so
//! it is one of a few lines, which misbehaves where a test wants it to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use copal_registry::{Bundle, Destination, Error, Source, fetch, publish};
use copal_trust::{COMPONENT, STATEMENT};
use serde_json::{Value, json};
use server::{Request, answer_with};

const TOKEN: &str = "a.token.of-the-registry";

/// What a registry holds and how it misbehaves.
#[derive(Default)]
struct Contents {
    manifests: BTreeMap<String, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
    upload: Vec<u8>,
    /// Whether it gives out its token for a name and a password alone.
    private: bool,
    /// What requests for a token brought with them.
    asked: Vec<Option<String>>,
    /// Answers that go before the proper ones, by the end of a path.
    instead: BTreeMap<&'static str, Vec<u8>>,
}

struct Registry {
    address: String,
    contents: Arc<Mutex<Contents>>,
}

impl Registry {
    fn start() -> Self {
        let contents = Arc::new(Mutex::new(Contents::default()));
        let held = contents.clone();
        let host = server::start(move |request| answer(&request, &mut held.lock().unwrap()));
        Self {
            address: format!("oci://{host}/acme/notebook:1"),
            contents,
        }
    }

    async fn push(&self, bundle: &Bundle, replace: bool) -> Result<String, Error> {
        let destination = Destination::parse(&self.address)?;
        let published = publish(bundle, &destination, replace).await?;
        Ok(published.digest.unwrap())
    }

    async fn pull(&self) -> Result<Bundle, Error> {
        fetch(&Source::parse(&self.address)?).await
    }

    fn change(&self, change: impl FnOnce(&mut Contents)) {
        change(&mut self.contents.lock().unwrap());
    }

    fn misbehave(&self, end: &'static str, answer: Vec<u8>) {
        self.change(|contents| contents.instead = BTreeMap::from([(end, answer)]));
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", copal_tests::vendor::sha256(bytes))
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer_with(&format!("200 OK\r\nContent-Length: {}", body.len()), body)
}

fn answer(request: &Request, contents: &mut Contents) -> Vec<u8> {
    let method = request.head.split(' ').next().unwrap();
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let host = request.header("host").unwrap();
    let instead = contents
        .instead
        .iter()
        .find(|(end, _)| path.ends_with(*end));
    if let Some((_, answer)) = instead {
        return answer.clone();
    }
    if path == "/token" {
        let brought = request.header("authorization").map(ToOwned::to_owned);
        contents.asked.push(brought.clone());
        if contents.private && brought.is_none() {
            return ok(json!({"token": "of-nobody"}).to_string().as_bytes());
        }
        return ok(json!({"access_token": TOKEN}).to_string().as_bytes());
    }
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        let challenge = format!(
            "401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"tests\""
        );
        return answer_with(&challenge, b"");
    }
    let name = path.rsplit('/').next().unwrap();
    let missing = || answer_with("404 Not Found", b"");
    match (method, path.rsplit('/').nth(1).unwrap()) {
        ("GET", "manifests") => contents
            .manifests
            .get(name)
            .map_or_else(missing, |it| ok(it)),
        ("GET" | "HEAD", "blobs") => contents.blobs.get(name).map_or_else(missing, |it| ok(it)),
        ("DELETE", "manifests") => {
            contents.manifests.remove(name);
            answer_with("202 Accepted", b"")
        }
        ("PUT", "manifests") => {
            let manifest: Value = serde_json::from_slice(&request.body).unwrap();
            for reference in [name, &digest(&request.body)] {
                let manifest = request.body.clone();
                contents.manifests.insert(reference.to_owned(), manifest);
            }
            let subject = manifest["subject"]["digest"].as_str();
            let subject = subject.map(|subject| format!("\r\nOCI-Subject: {subject}"));
            let head = format!(
                "201 Created\r\nLocation: {path}{}",
                subject.unwrap_or_default()
            );
            answer_with(&head, b"")
        }
        ("POST" | "PATCH", _) => {
            contents.upload.extend(&request.body);
            answer_with(
                "202 Accepted\r\nLocation: /v2/acme/notebook/blobs/uploads/1?state=x",
                b"",
            )
        }
        ("PUT", "uploads") => {
            let blob = std::mem::take(&mut contents.upload);
            contents.blobs.insert(digest(&blob), blob);
            answer_with(&format!("201 Created\r\nLocation: {path}"), b"")
        }
        // One on a page.
        ("GET", "referrers") => {
            let referring = contents.manifests.iter().filter(|(reference, manifest)| {
                let manifest: Value = serde_json::from_slice(manifest).unwrap();
                reference.contains(':') && manifest["subject"]["digest"] == name
            });
            let last = query.split_once("last=").map(|(_, last)| last);
            let last = last.and_then(|last| last.parse().ok()).unwrap_or(0);
            let entries: Vec<_> = referring
                .map(|(digest, manifest)| {
                    let found: Value = serde_json::from_slice(manifest).unwrap();
                    json!({"mediaType": found["mediaType"], "digest": digest, "size": manifest.len(), "artifactType": found["artifactType"]})
                })
                .collect();
            let page: Vec<_> = entries.iter().skip(last).take(1).collect();
            let body = json!({"schemaVersion": 2, "manifests": page}).to_string();
            let next = format!("Link: <{path}?last={}>; rel=\"next\"\r\n", last + 1);
            let next = if last + 1 < entries.len() {
                next
            } else {
                String::new()
            };
            answer_with(
                &format!("200 OK\r\n{next}Content-Length: {}", body.len()),
                body.as_bytes(),
            )
        }
        _ => missing(),
    }
}

fn release(statement: &'static str) -> Bundle {
    let mut bundle = Bundle::default();
    for (name, content) in [
        (COMPONENT, "\0asm\r\0\u{1}\0"),
        (STATEMENT, statement),
        ("release.json.minisig", "a signature"),
    ] {
        bundle
            .insert(name, Bytes::from_static(content.as_bytes()))
            .unwrap();
    }
    bundle
}

#[tokio::test]
async fn a_release_goes_through_a_registry_that_lists_and_wants_a_token() {
    let registry = Registry::start();
    let bundle = release("{}");
    let component = registry.push(&bundle, false).await.unwrap();
    assert_eq!(registry.pull().await.unwrap(), bundle);
    registry.push(&bundle, false).await.unwrap();
    // No tag stands in for what the registry does itself.
    let contents = registry.contents.lock().unwrap();
    assert!(
        !contents
            .manifests
            .contains_key(&component.replace(':', "-"))
    );
    assert_eq!(contents.manifests.len(), 3);
}

#[tokio::test]
async fn another_statement_is_replaced_only_when_asked_for() {
    let registry = Registry::start();
    let (first, second) = (release("1"), release("2"));
    registry.push(&first, false).await.unwrap();
    let error = registry.push(&second, false).await.unwrap_err();
    assert_eq!(error.kind(), "occupied", "{error}");
    registry.push(&second, true).await.unwrap();
    assert_eq!(registry.pull().await.unwrap(), second);
}

#[tokio::test]
async fn a_statement_that_can_not_be_had_now_is_not_replaced() {
    let registry = Registry::start();
    let (first, second) = (release("1"), release("2"));
    let component = registry.push(&first, false).await.unwrap();
    let mut statement = String::new();
    registry.change(|contents| {
        let about = |manifest: &Vec<u8>| {
            let manifest: Value = serde_json::from_slice(manifest).unwrap();
            manifest["subject"]["digest"] == component.as_str()
        };
        let mut manifests = contents.manifests.iter();
        let (digest, _) = manifests.find(|(_, manifest)| about(manifest)).unwrap();
        statement.clone_from(digest);
    });
    registry.misbehave(statement.leak(), answer_with("503 Busy", b""));
    let error = registry.push(&second, true).await.unwrap_err();
    assert_eq!(error.kind(), "answer", "{error}");
    registry.change(|contents| contents.instead.clear());
    assert_eq!(registry.pull().await.unwrap(), first);
}

#[tokio::test]
async fn credentials_are_told_to_the_registry_that_they_are_for_and_only_where_it_insists() {
    let registry = Registry::start();
    registry.push(&release("{}"), false).await.unwrap();
    let host = registry.address.split('/').nth(2).unwrap();
    // me:s3cret
    let basic = Some("Basic bWU6czNjcmV0".to_owned());
    for (private, own, expected, asked) in [
        (false, host, "done", vec![None]),
        (true, host, "done", vec![None, basic]),
        (true, "other.example", "denied", vec![None, None]),
    ] {
        registry.change(|contents| {
            contents.private = private;
            contents.asked.clear();
        });
        // The environment of a process is its own: another run of these tests, of the part below alone.
        let outcome = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "part_that_runs_in_an_environment_of_its_own"])
            .args(["--ignored", "--nocapture"])
            .env_remove("DOCKER_CONFIG")
            .env("HOME", "/nonexistent")
            .env("COPAL_TEST_REGISTRY", &registry.address)
            .env("COPAL_REGISTRY_HOST", own)
            .env("COPAL_REGISTRY_USER", "me")
            .env("COPAL_REGISTRY_PASSWORD", "s3cret")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&outcome.stdout);
        assert!(
            output.contains(&format!("outcome: {expected}\n")),
            "{expected}: {output}"
        );
        registry.change(|contents| assert_eq!(contents.asked, asked, "{own}"));
    }
}

#[tokio::test]
#[ignore = "is run by another test"]
#[allow(clippy::print_stdout, reason = "the other test reads it")]
async fn part_that_runs_in_an_environment_of_its_own() {
    let Ok(address) = std::env::var("COPAL_TEST_REGISTRY") else {
        return;
    };
    let outcome = match fetch(&Source::parse(&address).unwrap()).await {
        Ok(_) => "done",
        Err(error) => error.kind(),
    };
    println!("outcome: {outcome}");
}

#[tokio::test]
async fn a_statement_on_a_later_page_counts_too() {
    let registry = Registry::start();
    let component = registry.push(&release("1"), false).await.unwrap();
    registry.change(|contents| {
        let manifests = contents.manifests.values();
        let mut manifests = manifests.map(|manifest| serde_json::from_slice(manifest).unwrap());
        let mut copy: Value = manifests
            .find(|manifest: &Value| manifest["subject"]["digest"] == component.as_str())
            .unwrap();
        copy["layers"].as_array_mut().unwrap().pop();
        let copy = copy.to_string().into_bytes();
        contents.manifests.insert(digest(&copy), copy);
    });
    let error = registry.pull().await.unwrap_err();
    assert_eq!(error.kind(), "two-statements", "{error}");
}

#[tokio::test]
async fn a_registry_that_misbehaves_is_told_apart() {
    let registry = Registry::start();
    let component = registry.push(&release("{}"), false).await.unwrap();
    let elsewhere =
        "401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://198.51.100.1/token\"";
    let endless = vec![b' '; 5 << 20];
    for (end, answer, kind, message) in [
        (
            "/manifests/1",
            ok(b"{}"),
            "not-a-component",
            "its manifest is none",
        ),
        (
            "/manifests/1",
            ok(b"<html>"),
            "not-a-component",
            "its manifest is none",
        ),
        (
            "/manifests/1",
            answer_with("200 OK", &endless),
            "too-large",
            "its manifest",
        ),
        (
            "/manifests/1",
            answer_with("429 Too Many Requests", b"{\"errors\":[]}"),
            "answer",
            "429",
        ),
        (
            "/manifests/1",
            answer_with("403 Forbidden", b""),
            "denied",
            "its manifest (403)",
        ),
        (
            "/manifests/1",
            answer_with(elsewhere, b""),
            "registry",
            "where nobody may send any",
        ),
        (
            "/token",
            ok(b"{\"token\":\"a\\nb\"}"),
            "registry",
            "its token is none",
        ),
        ("/token", ok(b"{}"), "registry", "its token is none"),
        (
            "/token",
            answer_with("401 Unauthorized", b""),
            "denied",
            "a token (401)",
        ),
        (
            "/token",
            answer_with("200 OK", &endless),
            "too-large",
            "its token",
        ),
        ("", Vec::new(), "unreachable", "can't be reached"),
    ] {
        registry.misbehave(end, answer);
        let error = registry.pull().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    let list = |entries: Value| ok(json!({"manifests": entries}).to_string().as_bytes());
    let entry = |digest: &str| json!({"digest": digest, "artifactType": "application/vnd.copal.release.v1+json"});
    let many: Vec<_> = (0..9).map(|number: u8| entry(&digest(&[number]))).collect();
    let round = format!("200 OK\r\nLink: </v2/acme/notebook/referrers/{component}>; rel=\"next\"");
    let referrers = component.clone().leak();
    for (answer, kind, message) in [
        (ok(b"["), "registry", "its list of statements is none"),
        (
            list(json!([entry("../../blobs")])),
            "registry",
            "it lists a statement `../../blobs`",
        ),
        (
            list(json!([entry(&digest(b"none"))])),
            "registry",
            "has it not",
        ),
        (list(many.into()), "two-statements", "disagree"),
        (answer_with(&round, b"{}"), "registry", "does not end"),
        (answer_with("500 Oops", b""), "answer", "500"),
    ] {
        registry.misbehave(referrers, answer);
        let error = registry.pull().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test]
async fn contents_that_were_changed_are_refused() {
    let registry = Registry::start();
    let component = registry.push(&release("{}"), false).await.unwrap();
    let host = registry.address.split_once("/acme").unwrap().0;
    let pinned = Source::parse(&format!("{host}/acme/notebook@{component}")).unwrap();
    let mut kept = Vec::new();
    registry.change(|contents| {
        let manifest = contents.manifests.get_mut(&component).unwrap();
        kept.clone_from(manifest);
        manifest.push(b' ');
    });
    let error = fetch(&pinned).await.unwrap_err();
    assert_eq!(error.kind(), "digest");
    assert!(error.to_string().contains(&component), "{error}");

    registry.change(|contents| {
        contents.manifests.insert(component, kept);
        let blobs = contents.blobs.values_mut();
        blobs
            .filter(|blob| blob.starts_with(b"\0asm"))
            .for_each(|blob| blob.reverse());
    });
    let error = registry.pull().await.unwrap_err();
    assert_eq!(error.kind(), "digest", "{error}");
}
