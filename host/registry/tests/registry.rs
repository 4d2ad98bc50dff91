//! Releases in a real OCI registry.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use bytes::Bytes;
use copal_registry::{Bundle, Destination, Error, Published, Source, fetch, publish};
use copal_tests::registry::{PASSWORD, Registry, USER};
use copal_trust::{COMPONENT, PUBLISHER, STATEMENT};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const REPOSITORY: &str = "acme/notebook";

/// A component that does nothing, and a section whose content makes it a component of its own.
fn component(content: &str) -> Bytes {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.extend([0, content.len() as u8 + 2, 1, b'x']);
    bytes.extend(content.as_bytes());
    bytes.into()
}

fn release(content: &str) -> Bundle {
    let mut bundle = Bundle::default();
    bundle.insert(COMPONENT, component(content)).unwrap();
    for (name, content) in [
        (STATEMENT, format!("{{\"about\":\"{content}\"}}")),
        ("release.json.minisig", "a signature".to_owned()),
        ("release.json.1.minisig", "another".to_owned()),
        (PUBLISHER, r#"{"version":2}"#.to_owned()),
        ("publisher.json.minisig", "a third".to_owned()),
        ("publisher.1.json", r#"{"version":1}"#.to_owned()),
    ] {
        bundle.insert(name, content.into()).unwrap();
    }
    bundle
}

fn alone(content: &str) -> Bundle {
    let mut bundle = Bundle::default();
    bundle.insert(COMPONENT, component(content)).unwrap();
    bundle
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", copal_tests::vendor::sha256(bytes))
}

async fn push(
    registry: &Registry,
    tag: &str,
    bundle: &Bundle,
    replace: bool,
) -> Result<Published, Error> {
    let destination = format!("oci://{}/{REPOSITORY}:{tag}", registry.host());
    publish(bundle, &Destination::parse(&destination)?, replace).await
}

async fn pull(registry: &Registry, reference: &str) -> Result<Bundle, Error> {
    let source = format!("oci://{}/{REPOSITORY}{reference}", registry.host());
    fetch(&Source::parse(&source)?).await
}

fn manifest(registry: &Registry, reference: &str) -> Value {
    let answer = registry.manifest(REPOSITORY, reference);
    assert_eq!(answer.status, 200, "{reference}");
    serde_json::from_slice(&answer.body).unwrap()
}

/// The list of what refers to a component.
fn index(registry: &Registry, component: &str) -> Value {
    manifest(registry, &component.replace(':', "-"))
}

/// Puts what refers to a component, and enters it into the list.
fn refer(registry: &Registry, component: &str, statement: &Value) -> String {
    let bytes = statement.to_string().into_bytes();
    let digest = digest(&bytes);
    registry.put_manifest(REPOSITORY, &digest, MANIFEST, &bytes);
    let tag = component.replace(':', "-");
    let answer = registry.manifest(REPOSITORY, &tag);
    let mut index: Value = match answer.status {
        200 => serde_json::from_slice(&answer.body).unwrap(),
        _ => json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}),
    };
    index["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": MANIFEST, "digest": digest, "size": bytes.len(), "artifactType": statement["artifactType"],
        "x-other": "kept",
    }));
    registry.put_manifest(REPOSITORY, &tag, INDEX, index.to_string().as_bytes());
    digest
}

#[tokio::test]
async fn a_release_goes_through_a_registry_by_tag_and_by_digest() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let bundle = release("notebook");
    let published = push(&registry, "1.2.0", &bundle, false).await.unwrap();
    let digest = published.digest.unwrap();
    assert_eq!(pull(&registry, ":1.2.0").await.unwrap(), bundle);
    assert_eq!(
        pull(&registry, &format!("@{digest}")).await.unwrap(),
        bundle
    );
    let both = format!(":none@{digest}");
    assert_eq!(pull(&registry, &both).await.unwrap(), bundle);
    // Once more is no error, and another tag has the same digest.
    push(&registry, "1.2.0", &bundle, false).await.unwrap();
    let again = push(&registry, "latest", &bundle, false).await.unwrap();
    assert_eq!(again.digest, Some(digest.clone()));
    assert_eq!(pull(&registry, "").await.unwrap(), bundle);
    assert_eq!(
        index(&registry, &digest)["manifests"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn the_component_is_an_artifact_as_others_write_it() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let bundle = release("notebook");
    let component = bundle.get(COMPONENT).unwrap();
    push(&registry, "1", &bundle, false).await.unwrap();
    let found = manifest(&registry, "1");
    assert_eq!(found["mediaType"], MANIFEST);
    assert_eq!(
        found["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(
        found["layers"],
        json!([{"mediaType": "application/wasm", "digest": digest(component), "size": component.len()}])
    );
    let config = registry.blob(REPOSITORY, found["config"]["digest"].as_str().unwrap());
    assert_eq!(
        serde_json::from_slice::<Value>(&config.body).unwrap(),
        json!({
            "created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
            "layerDigests": [digest(component)], "component": {"exports": [], "imports": []},
        })
    );
}

#[tokio::test]
async fn a_component_without_a_statement_comes_alone() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let bundle = alone("unsigned");
    push(&registry, "1", &bundle, false).await.unwrap();
    assert_eq!(pull(&registry, ":1").await.unwrap(), bundle);
    // Its statement may follow later, and leaves the component as it is.
    let signed = release("unsigned");
    push(&registry, "1", &signed, false).await.unwrap();
    assert_eq!(pull(&registry, ":1").await.unwrap(), signed);
}

#[tokio::test]
async fn a_tag_that_names_another_component_is_replaced_only_when_asked_for() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let (first, second) = (release("first"), release("second"));
    push(&registry, "1", &first, false).await.unwrap();
    let error = push(&registry, "1", &second, false).await.unwrap_err();
    assert_eq!(error.kind(), "occupied", "{error}");
    assert!(
        error
            .to_string()
            .contains(":1 holds something else already: the tag names sha256:")
    );
    assert_eq!(pull(&registry, ":1").await.unwrap(), first);
    push(&registry, "1", &second, true).await.unwrap();
    assert_eq!(pull(&registry, ":1").await.unwrap(), second);
}

#[tokio::test]
async fn another_statement_is_replaced_only_when_asked_for_and_strangers_stay() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let first = release("notebook");
    let published = push(&registry, "1", &first, false).await.unwrap();
    let component = published.digest.unwrap();
    let mut stranger = statement(&registry, &component);
    stranger["artifactType"] = "application/vnd.example.sbom".into();
    let stranger = refer(&registry, &component, &stranger);
    assert_eq!(pull(&registry, ":1").await.unwrap(), first);

    let mut second = alone("notebook");
    second
        .insert(STATEMENT, Bytes::from_static(b"{\"other\":1}"))
        .unwrap();
    let error = push(&registry, "1", &second, false).await.unwrap_err();
    assert_eq!(error.kind(), "occupied", "{error}");
    assert_eq!(pull(&registry, ":1").await.unwrap(), first);
    push(&registry, "1", &second, true).await.unwrap();
    assert_eq!(pull(&registry, ":1").await.unwrap(), second);
    let index = index(&registry, &component);
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let kept = entries
        .iter()
        .find(|entry| entry["digest"] == stranger)
        .unwrap();
    assert_eq!(kept["x-other"], "kept");
}

/// The manifest of the statement about a component.
fn statement(registry: &Registry, component: &str) -> Value {
    let index = index(registry, component);
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    manifest(registry, digest)
}

#[tokio::test]
async fn statements_that_were_tampered_with_are_each_refused_with_a_message_of_their_own() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let other = push(&registry, "other", &alone("other"), false).await;
    let other = manifest_descriptor(&registry, &other.unwrap().digest.unwrap());
    let stray = digest(b"stray");
    registry.put_blob(REPOSITORY, &stray, b"stray");
    type Tamper<'a> = &'a dyn Fn(&mut Value);
    let layer = |name: &str| {
        json!({
            "mediaType": "application/json", "digest": stray, "size": 5,
            "annotations": {"org.opencontainers.image.title": name},
        })
    };
    let push_layer = |manifest: &mut Value, name: &str| {
        manifest["layers"].as_array_mut().unwrap().push(layer(name));
    };
    let cases: &[(&str, &str, Tamper<'_>)] = &[
        (
            "statement-without-component",
            "is about no component",
            &|manifest| {
                manifest.as_object_mut().unwrap().remove("subject");
            },
        ),
        (
            "statement-without-component",
            "is about another component, sha256:",
            &|manifest| {
                manifest["subject"] = other.clone();
            },
        ),
        (
            "two-components",
            "brings another plugin.wasm",
            &|manifest| {
                push_layer(manifest, COMPONENT);
            },
        ),
        ("twice", "holds release.json twice", &|manifest| {
            push_layer(manifest, STATEMENT)
        }),
        (
            "registry",
            "the size of release.json is none",
            &|manifest| {
                manifest["layers"] = json!([layer(STATEMENT)]);
                manifest["layers"][0]["size"] = (-1).into();
            },
        ),
        (
            "too-large",
            "release.json has more than 1048576 bytes",
            &|manifest| {
                manifest["layers"] = json!([layer(STATEMENT)]);
                manifest["layers"][0]["size"] = (1_u64 << 40).into();
            },
        ),
        (
            "too-large",
            "release.json has more than 4 bytes",
            &|manifest| {
                manifest["layers"] = json!([layer(STATEMENT)]);
                manifest["layers"][0]["size"] = 4.into();
            },
        ),
    ];
    for (number, (kind, message, tamper)) in cases.iter().enumerate() {
        let content = format!("component {number}");
        // A statement of the right shape, then one that only looks like it.
        let published = push(&registry, &content[10..], &release(&content), false).await;
        let component = published.unwrap().digest.unwrap();
        let mut manifest = statement(&registry, &component);
        let empty = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
        let tag = component.replace(':', "-");
        registry.put_manifest(REPOSITORY, &tag, INDEX, empty.to_string().as_bytes());
        tamper(&mut manifest);
        refer(&registry, &component, &manifest);
        let error = pull(&registry, &format!("@{component}")).await.unwrap_err();
        assert_eq!(error.kind(), *kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

fn manifest_descriptor(registry: &Registry, digest: &str) -> Value {
    let size = registry.manifest(REPOSITORY, digest).body.len();
    json!({"mediaType": MANIFEST, "digest": digest, "size": size})
}

#[tokio::test]
async fn two_statements_count_only_where_they_agree() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let bundle = release("notebook");
    let published = push(&registry, "1", &bundle, false).await.unwrap();
    let component = published.digest.unwrap();
    // The same files in another manifest.
    let mut copy = statement(&registry, &component);
    copy["annotations"] = json!({"copied": "by a mirror"});
    let copy_digest = refer(&registry, &component, &copy);
    assert_eq!(pull(&registry, ":1").await.unwrap(), bundle);
    // Fewer files.
    copy["layers"].as_array_mut().unwrap().pop();
    let other = refer(&registry, &component, &copy);
    let error = pull(&registry, ":1").await.unwrap_err();
    assert_eq!(error.kind(), "two-statements");
    let message = error.to_string();
    assert!(
        message.contains(&other) && message.contains(&copy_digest),
        "{message}"
    );
}

#[tokio::test]
async fn what_is_no_single_component_is_refused_with_a_message_of_its_own() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let published = push(&registry, "1", &release("notebook"), false).await;
    let component = published.unwrap().digest.unwrap();
    let good = manifest(&registry, "1");
    let own_statement = statement(&registry, &component);
    let mut two = good.clone();
    let layer = two["layers"][0].clone();
    two["layers"].as_array_mut().unwrap().push(layer);
    let mut none = good.clone();
    none["layers"] = json!([]);
    let mut image = good.clone();
    image["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    let mut archive = good.clone();
    archive["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar".into();
    let list = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [manifest_descriptor(&registry, &component)],
    });
    let mut loose = own_statement.clone();
    loose.as_object_mut().unwrap().remove("subject");
    for (tag, kind, word, media_type, manifest) in [
        (
            "two",
            "two-components",
            "its artifact has 2 layers",
            MANIFEST,
            two,
        ),
        ("none", "not-a-component", "it has no layer", MANIFEST, none),
        (
            "image",
            "not-a-component",
            "oci.image.config",
            MANIFEST,
            image,
        ),
        (
            "archive",
            "not-a-component",
            "oci.image.layer",
            MANIFEST,
            archive,
        ),
        (
            "list",
            "not-a-component",
            "a list of artifacts",
            INDEX,
            list,
        ),
        (
            "stated",
            "statement-without-component",
            "is about the component sha256:",
            MANIFEST,
            own_statement,
        ),
        (
            "loose",
            "statement-without-component",
            "is about no component",
            MANIFEST,
            loose,
        ),
    ] {
        registry.put_manifest(REPOSITORY, tag, media_type, manifest.to_string().as_bytes());
        let error = pull(&registry, &format!(":{tag}")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains(tag), "{error}");
    }
    let error = pull(&registry, ":missing").await.unwrap_err();
    assert_eq!(error.kind(), "missing", "{error}");
}

#[tokio::test]
async fn what_is_no_component_is_not_published() {
    let Some(registry) = Registry::start() else {
        return;
    };
    for (component, reason) in [
        (&b"\0asm\x01\0\0\0"[..], "a core module"),
        (b"text", "magic"),
        (b"", "unexpected end"),
    ] {
        let mut bundle = Bundle::default();
        bundle
            .insert(COMPONENT, Bytes::copy_from_slice(component))
            .unwrap();
        let error = push(&registry, "1", &bundle, false).await.unwrap_err();
        assert_eq!(error.kind(), "not-a-component");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let mut bundle = Bundle::default();
    bundle.insert(STATEMENT, Bytes::new()).unwrap();
    let error = push(&registry, "1", &bundle, false).await.unwrap_err();
    assert_eq!(error.kind(), "not-a-component");
}

#[test]
fn a_guarded_registry_lets_in_whom_the_environment_or_docker_names() {
    let Some(registry) = Registry::start_guarded() else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let auth = base64(&format!("{USER}:{PASSWORD}"));
    let config = json!({"auths": {registry.host(): {"auth": auth}}});
    std::fs::write(scratch.path().join("config.json"), config.to_string()).unwrap();
    let docker = scratch.path().to_str().unwrap();
    for (expected, variables) in [
        (
            "done",
            vec![
                ("COPAL_REGISTRY_HOST", registry.host()),
                ("COPAL_REGISTRY_USER", USER),
                ("COPAL_REGISTRY_PASSWORD", PASSWORD),
            ],
        ),
        (
            "credentials",
            vec![
                ("COPAL_REGISTRY_USER", USER),
                ("COPAL_REGISTRY_PASSWORD", PASSWORD),
            ],
        ),
        (
            "denied",
            vec![
                ("COPAL_REGISTRY_HOST", "registry.example.org"),
                ("COPAL_REGISTRY_USER", USER),
                ("COPAL_REGISTRY_PASSWORD", PASSWORD),
            ],
        ),
        ("done", vec![("DOCKER_CONFIG", docker)]),
        ("denied", vec![]),
        (
            "denied",
            vec![
                ("COPAL_REGISTRY_HOST", registry.host()),
                ("COPAL_REGISTRY_USER", USER),
                ("COPAL_REGISTRY_PASSWORD", "wrong"),
            ],
        ),
        (
            "credentials",
            vec![("COPAL_REGISTRY_USER", USER), ("DOCKER_CONFIG", docker)],
        ),
    ] {
        // The environment of a process is its own: another run of these tests, of the part below alone.
        let outcome = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "part_that_runs_in_an_environment_of_its_own",
                "--ignored",
                "--nocapture",
            ])
            .env_remove("DOCKER_CONFIG")
            .env("HOME", "/nonexistent")
            .env("COPAL_TEST_REGISTRY", registry.host())
            .envs(variables)
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&outcome.stdout);
        assert!(
            output.contains(&format!("outcome: {expected}\n")),
            "{expected}: {output}"
        );
        let errors = String::from_utf8_lossy(&outcome.stderr);
        assert!(!output.contains(PASSWORD) && !errors.contains(PASSWORD));
    }
}

#[tokio::test]
#[ignore = "is run by another test"]
#[allow(clippy::print_stdout, reason = "the other test reads it")]
async fn part_that_runs_in_an_environment_of_its_own() {
    let Ok(host) = std::env::var("COPAL_TEST_REGISTRY") else {
        return;
    };
    let address = format!("oci://{host}/{REPOSITORY}:1");
    let bundle = release("guarded");
    let destination = Destination::parse(&address).unwrap();
    let outcome = match publish(&bundle, &destination, false).await {
        Ok(_) => match fetch(&Source::parse(&address).unwrap()).await {
            Ok(fetched) if fetched == bundle => "done",
            Ok(_) => "changed",
            Err(error) => error.kind(),
        },
        Err(error) => {
            println!("{error}: {:?} {error:?}", error.advice());
            error.kind()
        }
    };
    println!("outcome: {outcome}");
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
