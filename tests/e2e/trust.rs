//! Plugins of others: from a vendor's key to a restore, and all that must be refused on the way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use copal_tests::applications::Applications;
use copal_tests::environment::Refusal;
use copal_tests::run::Program;
use copal_tests::vendor::{self, CONTAINERS, Capabilities, Vendor};
use copal_tests::{TestEnvironment, sample};

const NAME: &str = "acme/notebook";
/// What the plugin has done when it is told to stop a container.
const GRANTS: [&str; 2] = ["run:docker stop app", "run:docker start app"];

/// `copal plugin install` with all that an operator agrees to.
fn install(environment: &TestEnvironment, vendor: &Vendor<'_>, release: &Path) -> Program {
    environment
        .copal(["plugin", "install"])
        .arg(release)
        .args(["--fingerprint", &vendor.fingerprint()])
        .args(["--approve", &vendor::capability_hash(environment, release)])
}

/// The refusal of an installation, after which nothing is installed.
fn not_installed(environment: &TestEnvironment, program: Program) -> Refusal {
    let refusal = environment.refused(program, 1);
    assert_eq!(
        installed(environment),
        None,
        "it was installed all the same"
    );
    refusal
}

/// The version of the plugin that is installed.
fn installed(environment: &TestEnvironment) -> Option<String> {
    let list = environment.copal(["plugin", "list", "--json"]).run();
    let list = list.succeeds().json();
    let mut rows = list.as_array().unwrap().iter();
    let row = rows.find(|row| row["name"] == NAME)?;
    Some(row["version"].as_str().unwrap().to_owned())
}

fn source(environment: &TestEnvironment) -> PathBuf {
    let source = environment.make_directory("source");
    sample::simple(&source);
    source
}

/// A backup that stops the container `app`.
fn backup(environment: &TestEnvironment, source: &Path) -> Program {
    environment.backup(NAME, source, "--set container=app")
}

#[test]
fn from_a_key_to_a_restore_by_way_of_an_update_with_a_new_capability() {
    let environment = TestEnvironment::with_repository();
    let applications = Applications::install(&environment);
    let (source, target) = (source(&environment), environment.path("target"));
    let acme = Vendor::new(&environment, "acme");

    // Nobody agreed to the publisher, then not to the capabilities.
    let first = acme.release("1.0.0", CONTAINERS);
    let program = || environment.copal(["plugin", "install"]).arg(&first);
    let unknown = not_installed(&environment, program());
    unknown.is("publisher-unknown").says(&acme.fingerprint());
    let wrong = program().args(["--fingerprint", &"0".repeat(64)]);
    not_installed(&environment, wrong).is("publisher-fingerprint");
    let agreed = program().args(["--fingerprint", &acme.fingerprint()]);
    let capabilities = not_installed(&environment, agreed);
    capabilities
        .is("plugin-capabilities")
        .says("run:docker stop *")
        .says(&vendor::capability_hash(&environment, &first));
    install(&environment, &acme, &first).run().succeeds();
    assert_eq!(installed(&environment).as_deref(), Some("1.0.0"));

    // A grant that is given once, then one that is given for good.
    environment
        .refused(backup(&environment, &source), 1)
        .is("grants")
        .says("run:docker stop app");
    let allow = |environment: &TestEnvironment| {
        let program = environment.copal(["grants", "allow", NAME]);
        program.args(GRANTS).run().succeeds();
    };
    allow(&environment);
    backup(&environment, &source).run().succeeds();
    assert_eq!(
        applications.changes(),
        ["docker stop app", "docker start app"]
    );
    let files = environment
        .copal(["ls", "latest", ".copal"])
        .run()
        .succeeds()
        .text();
    for file in [
        "plugin.wasm",
        "release/release.json.minisig",
        "release/publisher.json",
    ] {
        assert!(
            files.contains(file),
            "{file} is not in
{files}"
        );
    }

    // The update may ask for more, so it is not taken until that is agreed to; the version before goes on working.
    let more: Capabilities<'_> = &[
        CONTAINERS[0],
        CONTAINERS[1],
        ("http:POST *:443", "Tells us that it was here."),
    ];
    let second = acme.release("1.1.0", more);
    let update = || {
        environment
            .copal(["plugin", "update", NAME, "--from"])
            .arg(&second)
    };
    environment
        .refused(update(), 1)
        .is("plugin-capabilities")
        .says("http:POST *:443");
    assert_eq!(installed(&environment).as_deref(), Some("1.0.0"));
    backup(&environment, &source).run().succeeds();
    let old = vendor::capability_hash(&environment, &first);
    environment
        .refused(update().args(["--approve", &old]), 1)
        .is("plugin-capabilities");
    let hash = vendor::capability_hash(&environment, &second);
    update().args(["--approve", &hash]).run().succeeds();
    assert_eq!(installed(&environment).as_deref(), Some("1.1.0"));
    // What another component was allowed is not this one's.
    environment
        .refused(backup(&environment, &source), 1)
        .is("grants");
    allow(&environment);
    backup(&environment, &source).run().succeeds();
    let revoke = environment.copal(["grants", "revoke", NAME, GRANTS[0]]);
    revoke.run().succeeds();
    environment
        .refused(backup(&environment, &source), 1)
        .is("grants")
        .says(GRANTS[0]);
    allow(&environment);

    // The publisher takes the release back: no backup with it, and a restore only for those who insist.
    let second = second.to_str().unwrap();
    acme.document(
        &format!("--revoke-release {second} --reason leaks"),
        &["key"],
    );
    let add = environment.copal(["trust", "add"]);
    add.arg(acme.path("publisher.json")).run().succeeds();
    environment
        .refused(backup(&environment, &source), 1)
        .is("plugin-revoked")
        .says("leaks");
    environment
        .refused(environment.restore(&target, ""), 1)
        .is("plugin-revoked")
        .says("--allow-revoked");
    assert!(!target.exists());
    environment
        .restore(&target, "--allow-revoked")
        .run()
        .succeeds();
    environment.copal(["check", "--read-data"]).run().succeeds();
}

#[test]
fn each_attack_on_a_release_is_refused_in_its_own_words() {
    type Attack = fn(&Vendor<'_>, &Path);
    let attacks: [(&str, &str, Attack); 9] = [
        ("a tampered component", "plugin-tampered", |_, release| {
            let other = vendor::component(NAME, "6.6.6", &[]);
            std::fs::write(release.join("plugin.wasm"), other).unwrap();
        }),
        ("a rewritten header", "plugin-header", |_, release| {
            let file = release.join("plugin.wasm");
            let mut bytes = std::fs::read(&file).unwrap();
            bytes[4..8].copy_from_slice(&[1, 0, 0, 0]);
            std::fs::write(file, bytes).unwrap();
        }),
        ("a changed statement", "signature-wrong", |_, release| {
            let file = release.join("release.json");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(file, text.replace("Saves a notebook.", "Saves a notebook!")).unwrap();
        }),
        (
            "a statement without component",
            "plugin-without-component",
            |_, release| {
                std::fs::remove_file(release.join("plugin.wasm")).unwrap();
            },
        ),
        (
            "a component without statement",
            "plugin-without-statement",
            |_, release| {
                std::fs::remove_file(release.join("release.json")).unwrap();
            },
        ),
        ("no signature", "plugin-unsigned", |_, release| {
            std::fs::remove_file(release.join("release.json.minisig")).unwrap();
        }),
        (
            "the signature of another document",
            "signature-wrong",
            |_, release| {
                let signature = release.join("release.json.minisig");
                std::fs::copy(release.join("publisher.json.minisig"), signature).unwrap();
            },
        ),
        ("another key", "publisher-name-taken", |vendor, release| {
            vendor.key("other");
            std::fs::remove_file(release.join("release.json.minisig")).unwrap();
            vendor.sign(&release.join("release.json"), "other");
        }),
        (
            "another publisher's document",
            "publisher-other",
            |vendor, release| {
                let environment = vendor.environment();
                let evil = Vendor::new(environment, "evil");
                for file in ["publisher.json", "publisher.json.minisig"] {
                    std::fs::copy(evil.path(file), release.join(file)).unwrap();
                }
            },
        ),
    ];
    for (what, kind, attack) in attacks {
        let environment = TestEnvironment::new();
        let acme = Vendor::new(&environment, "acme");
        let release = acme.release("1.0.0", &[]);
        let program = install(&environment, &acme, &release);
        attack(&acme, &release);
        let refusal = not_installed(&environment, program);
        assert_eq!(refusal.kind(), kind, "{what}: {}", refusal.outcome.stderr);
    }
}

#[test]
fn a_replayed_release_and_a_replayed_document_are_refused() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let old = acme.release("1.0.0", &[]);
    let new = acme.release("2.0.0", &[]);
    install(&environment, &acme, &new).run().succeeds();
    let refused = |kind: &str| {
        let program = install(&environment, &acme, &old);
        environment.refused(program, 1).is(kind);
    };
    refused("plugin-downgrade");
    // Removing it does not make the machine forget.
    let remove = environment.copal(["plugin", "remove", NAME]);
    remove.run().succeeds();
    refused("plugin-downgrade");
    // The old document comes back, with the keys of then.
    acme.document("", &["key"]);
    let add = environment.copal(["trust", "add"]);
    add.arg(acme.path("publisher.json")).run().succeeds();
    refused("publisher-replayed");
    let replayed = environment.copal(["trust", "add"]).arg(&new);
    environment.refused(replayed, 1).is("publisher-replayed");
}

#[test]
fn a_name_belongs_to_whoever_was_trusted_with_it_first() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let add = environment.copal(["trust", "add"]);
    add.arg(acme.path("publisher.json"))
        .args(["--fingerprint", &acme.fingerprint()])
        .run()
        .succeeds();
    // Somebody else calls himself the same.
    let impostor = environment.make_directory("impostor");
    let publisher = impostor.join("publisher.json");
    for words in [
        vec!["keygen", "--no-password"],
        vec!["publisher", "--name", "acme", "--key"],
    ] {
        let mut program = environment.copal(["plugin"]);
        program = program.args(&words);
        program = match words[0] {
            "keygen" => program.arg(impostor.join("key")),
            _ => program.arg(impostor.join("key.pub")).arg(&publisher),
        };
        program.run().succeeds();
    }
    let sign = environment.copal(["plugin", "sign", "--key"]);
    sign.arg(impostor.join("key.key"))
        .arg(&publisher)
        .run()
        .succeeds();
    let component = environment.write("evil.wasm", vendor::component(NAME, "9.0.0", &[]));
    let pack = environment.copal(["plugin", "pack"]).arg(&component);
    let release = environment.path("evil-release");
    pack.arg("--publisher")
        .arg(&publisher)
        .arg("--key")
        .arg(impostor.join("key.key"))
        .arg("--to")
        .arg(&release)
        .run()
        .succeeds();
    let digest = vendor::sha256(&std::fs::read(&publisher).unwrap());
    let program = environment.copal(["plugin", "install"]).arg(&release);
    let program = program.args(["--fingerprint", &digest]);
    not_installed(&environment, program).is("publisher-name-taken");
    // Nor does it help to sign nothing at all, or to take Copal's own name.
    let bare = environment.copal(["plugin", "install", "--allow-unsigned"]);
    not_installed(&environment, bare.arg(&component)).is("plugin-unsigned-publisher");
    let own = environment.write("own.wasm", vendor::component("copal/files", "9.0.0", &[]));
    let bare = environment.copal(["plugin", "install", "--allow-unsigned"]);
    not_installed(&environment, bare.arg(&own)).is("plugin-reserved");
}

#[test]
fn an_unsigned_plugin_is_installed_only_by_those_who_say_so_and_loudly() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    let component = environment.write("mine.wasm", vendor::component(NAME, "0.1.0", &[]));
    let program = || environment.copal(["plugin", "install"]).arg(&component);
    not_installed(&environment, program()).says("--allow-unsigned");
    let outcome = program().arg("--allow-unsigned").run().succeeds();
    assert!(
        outcome.stderr.contains("nobody vouches for acme/notebook"),
        "{}",
        outcome.stderr
    );
    environment.backup(NAME, &source, "").run().succeeds();
    let list = environment.copal(["plugin", "list"]).run().succeeds();
    assert!(list.text().contains("unsigned"), "{}", list.text());
}

#[test]
fn what_expired_is_not_installed_but_goes_on_restoring() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", &[]);
    install(&environment, &acme, &release).run().succeeds();
    environment.backup(NAME, &source, "").run().succeeds();

    // The next version of the document is over already.
    acme.document("", &[]);
    let file = acme.path("publisher.json");
    let mut document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    document["created"] = "2020-01-01T00:00:00Z".into();
    document["not_after"] = "2021-01-01T00:00:00Z".into();
    std::fs::write(&file, serde_json::to_vec(&document).unwrap()).unwrap();
    acme.sign(&file, "key");
    let late = acme.release("1.1.0", &[]);
    let program = environment.copal(["plugin", "update", NAME, "--from"]);
    environment
        .refused(program.arg(&late), 1)
        .is("publisher-expired");

    environment
        .copal(["trust", "add"])
        .arg(&file)
        .run()
        .succeeds();
    environment.backup(NAME, &source, "").run().succeeds();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    let again = environment.copal(["plugin", "install"]).arg(&release);
    environment.refused(again, 1);
}

#[test]
fn a_threshold_and_a_rotation_of_keys_hold() {
    let environment = TestEnvironment::new();
    let acme = Vendor::without_document(&environment, "acme");
    acme.key("second");
    let both = format!(
        "--key KEY.pub --key {} --threshold 2",
        acme.path("second.pub").display()
    );
    acme.document(&both, &["key", "second"]);
    let component = vendor::component(NAME, "1.0.0", &[]);
    let one = acme.pack(&component, "one", &["key"]);
    let twice = acme.pack(&component, "twice", &["key", "key"]);
    let two = acme.pack(&component, "two", &["key", "second"]);
    for release in [&one, &twice] {
        let program = environment.copal(["plugin", "install"]).arg(release);
        let program = program.args(["--fingerprint", &acme.fingerprint()]);
        not_installed(&environment, program).is("signatures-too-few");
    }
    install(&environment, &acme, &two).run().succeeds();

    // A stolen key gives way to a new one. The old keys agree to that, and the new ones too.
    acme.key("third");
    let (second, third) = (acme.path("second.pub"), acme.path("third.pub"));
    let rotated = format!(
        "--key {} --key {} --revoke-key KEY.pub",
        second.display(),
        third.display()
    );
    acme.document(&rotated, &["second", "third"]);
    let add = || {
        environment
            .copal(["trust", "add"])
            .arg(acme.path("publisher.json"))
    };
    environment.refused(add(), 1).is("signatures-too-few");
    acme.sign(&acme.path("publisher.json"), "key");
    add().run().succeeds();
    let stolen = acme.pack(
        &vendor::component(NAME, "2.0.0", &[]),
        "stolen",
        &["key", "second"],
    );
    let program = environment.copal(["plugin", "install"]).arg(stolen);
    environment.refused(program, 1);
    let next = acme.pack(
        &vendor::component(NAME, "2.0.0", &[]),
        "next",
        &["second", "third"],
    );
    install(&environment, &acme, &next).run().succeeds();
    assert_eq!(installed(&environment).as_deref(), Some("2.0.0"));
}

#[test]
fn a_file_that_was_swapped_has_none_of_the_grants() {
    let environment = TestEnvironment::with_repository();
    Applications::install(&environment);
    let source = source(&environment);
    // Installed: its bytes are looked at again whenever it is used.
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", CONTAINERS);
    install(&environment, &acme, &release).run().succeeds();
    let allow = environment.copal(["grants", "allow", NAME]);
    allow.args(GRANTS).run().succeeds();
    let digest = vendor::sha256(&std::fs::read(release.join("plugin.wasm")).unwrap());
    let place = environment
        .path("home/.local/share/copal/plugins")
        .join(&digest)
        .join("plugin.wasm");
    let evil = vendor::component(NAME, "1.0.1", CONTAINERS);
    std::fs::write(&place, &evil).unwrap();
    environment
        .refused(backup(&environment, &source), 1)
        .is("plugin-swapped");

    // A file: a job gives it grants only by its digest.
    let file = environment.write("mine.wasm", vendor::component(NAME, "1.5.0", CONTAINERS));
    let digest = vendor::sha256(&std::fs::read(&file).unwrap());
    let job = |pin: &str| {
        let text = format!(
            "[jobs.mine]\nplugin = \"mine.wasm\"\n{pin}roots = {{ files = \"source\" }}\n\
             config = {{ container = \"app\" }}\ngrants = [\"{}\", \"{}\"]\n",
            GRANTS[0], GRANTS[1]
        );
        environment.write("copal.toml", text);
        environment.copal(["backup", "--job", "mine", "--yes"])
    };
    environment
        .refused(job(""), 1)
        .is("plugin-unpinned")
        .says(&digest);
    job(&format!("digest = \"{digest}\"\n")).run().succeeds();
    std::fs::write(&file, evil).unwrap();
    environment
        .refused(job(&format!("digest = \"{digest}\"\n")), 1)
        .is("plugin-swapped");
}

#[test]
fn what_is_exported_is_installed_where_there_is_no_network() {
    let here = TestEnvironment::new();
    let acme = Vendor::new(&here, "acme");
    // Two documents, so that the second machine needs the history as well.
    acme.document("", &["key"]);
    let release = acme.release("1.0.0", CONTAINERS);
    install(&here, &acme, &release).run().succeeds();
    let there = TestEnvironment::new();
    for (what, destination) in [("folder", "carried"), ("archive", "carried.tar")] {
        let place = there.path(destination);
        let export = here.copal(["plugin", "export", NAME]);
        export.arg(&place).run().succeeds();
        let other = TestEnvironment::new();
        install(&other, &acme, &place).run().succeeds();
        assert_eq!(installed(&other).as_deref(), Some("1.0.0"), "{what}");
        let again = other.path("again");
        let export = other.copal(["plugin", "export", NAME]);
        export.arg(&again).run().succeeds();
        let names = |folder: &Path| {
            let entries = std::fs::read_dir(folder).unwrap();
            let mut files: Vec<_> = entries
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap()))
                .collect();
            files.sort();
            files
        };
        assert_eq!(names(&again), names(&release), "{what}: something was lost");
    }
}

#[test]
fn a_registry_carries_releases_by_tag_and_by_digest() {
    let Some(registry) = copal_tests::registry::Registry::start() else {
        return;
    };
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let first = acme.release("1.0.0", &[]);
    let tag = format!("oci://{}/acme/notebook:stable", registry.host());
    let export = |release: &Path| {
        let export = environment.copal(["plugin", "export"]);
        export.arg(release).arg(&tag)
    };
    let published = export(&first).arg("--json").run().succeeds().json();
    let digest = published["digest"].as_str().unwrap().to_owned();
    let install = |source: &str| {
        let program = environment.copal(["plugin", "install", source]);
        program.args(["--fingerprint", &acme.fingerprint()])
    };
    install(&tag).run().succeeds();
    assert_eq!(installed(&environment).as_deref(), Some("1.0.0"));

    // The tag moves on; the digest stays.
    let second = acme.release("1.1.0", &[]);
    environment.refused(export(&second), 1).is("occupied");
    export(&second).arg("--replace").run().succeeds();
    let update = environment.copal(["plugin", "update"]);
    update.run().succeeds();
    assert_eq!(installed(&environment).as_deref(), Some("1.1.0"));
    let pinned = format!("oci://{}/acme/notebook@{digest}", registry.host());
    environment
        .refused(install(&pinned), 1)
        .is("plugin-downgrade");
    let other = TestEnvironment::new();
    let program = other.copal(["plugin", "install", &pinned]);
    let program = program.args(["--fingerprint", &acme.fingerprint()]);
    program.run().succeeds();
    assert_eq!(installed(&other).as_deref(), Some("1.0.0"));
}
