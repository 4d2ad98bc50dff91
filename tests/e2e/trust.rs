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
use copal_tests::webdav::WebDavServer;
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
        .copal(["ls", "--recursive", "latest", ".copal"])
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
    // A release may bring it along, since it is known, and the newest counts.
    refused("plugin-downgrade");
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
    // The document that the release brings is in time, and the newest that is known counts.
    let again = environment.copal(["plugin", "install"]).arg(&release);
    environment.refused(again, 1).is("publisher-expired");
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
    environment.refused(program, 1).is("key-revoked");
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

/// Trusts a vendor by its fingerprint.
fn trust(environment: &TestEnvironment, vendor: &Vendor<'_>) {
    let add = environment.copal(["trust", "add"]);
    add.arg(vendor.path("publisher.json"))
        .args(["--fingerprint", &vendor.fingerprint()])
        .run()
        .succeeds();
}

#[test]
fn a_backup_outlives_a_publisher_document_with_a_long_history() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", &[]);
    install(&environment, &acme, &release).run().succeeds();
    for _ in 0..40 {
        acme.document("", &["key"]);
    }
    let add = environment.copal(["trust", "add"]);
    add.arg(acme.path("publisher.json")).run().succeeds();
    environment.backup(NAME, &source, "").run().succeeds();
    let list = environment.copal(["ls", "latest", ".copal/release"]);
    let files = list.run().succeeds().text();
    assert!(
        files.contains("publisher.json") && !files.contains("publisher.1.json"),
        "{files}"
    );
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    environment.restore(&target, "--safety").run().succeeds();
    environment.copal(["rollback", "--yes"]).run().succeeds();
}

#[test]
fn a_revocation_counts_although_the_release_that_brought_it_is_refused() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", &[]);
    install(&environment, &acme, &release).run().succeeds();
    environment.backup(NAME, &source, "").run().succeeds();
    // Where the release lies, its publisher's newest document lies too.
    let path = release.to_str().unwrap().to_owned();
    acme.document(&format!("--revoke-release {path} --reason leaks"), &["key"]);
    for entry in std::fs::read_dir(acme.path("")).unwrap() {
        let entry = entry.unwrap();
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("publisher.")
        {
            std::fs::copy(entry.path(), release.join(entry.file_name())).unwrap();
        }
    }
    let update = environment.copal(["plugin", "update"]);
    environment.refused(update, 1).is("plugin-revoked");
    let backup = environment.backup(NAME, &source, "");
    environment
        .refused(backup, 1)
        .is("plugin-revoked")
        .says("leaks");
    let verify = environment.copal(["plugin", "list", "--json"]).run();
    let list = verify.succeeds().json();
    let mut rows = list.as_array().unwrap().iter();
    let row = rows.find(|row| row["name"] == NAME).unwrap();
    assert_eq!(row["revoked"], "leaks");
    // A drill is told of the way out, and has it.
    let drill = || environment.copal(["drill", "--snapshot", "latest"]);
    environment
        .refused(drill(), 1)
        .is("plugin-revoked")
        .says("--allow-revoked");
    let drilled = drill().arg("--allow-revoked").run().succeeds();
    assert!(
        drilled.stderr.contains("it is used all the same"),
        "{}",
        drilled.stderr
    );
}

#[test]
fn an_update_learns_of_a_revocation_where_the_publisher_was_met() {
    let environment = TestEnvironment::with_repository();
    let acme = Vendor::new(&environment, "acme");
    let Some(server) = WebDavServer::open_to_all(&acme.path("")) else {
        return;
    };
    let address = server.bare_address("publisher.json");
    let add = environment.copal(["trust", "add", &address]);
    add.args(["--fingerprint", &acme.fingerprint()])
        .run()
        .succeeds();
    let show = environment.copal(["trust", "show", "acme"]).run();
    assert!(show.succeeds().text().contains(&address));
    // The release lies where no news of the publisher ever comes.
    let release = acme.release("1.0.0", &[]);
    install(&environment, &acme, &release).run().succeeds();
    let update = || environment.copal(["plugin", "update"]);
    update().run().succeeds();
    let revoke = format!("--revoke-release {} --reason leaks", release.display());
    acme.document(&revoke, &["key"]);
    environment.refused(update(), 1).is("plugin-revoked");
    environment
        .refused(environment.backup(NAME, &source(&environment), ""), 1)
        .is("plugin-revoked")
        .says("leaks");
    // That nothing can be learned is said, and keeps nobody from an update.
    drop(server);
    let update = update().arg("--json").run().exits(1);
    assert_eq!(update.json()[0]["publisher"], "acme");
}

#[test]
fn only_a_release_of_the_publisher_s_own_is_revoked_by_its_folder() {
    let environment = TestEnvironment::new();
    let (acme, other) = (
        Vendor::new(&environment, "acme"),
        Vendor::new(&environment, "other"),
    );
    let foreign = other.release("1.0.0", &[]);
    let mixed = acme.release("1.0.0", &[]);
    std::fs::copy(foreign.join("plugin.wasm"), mixed.join("plugin.wasm")).unwrap();
    for (release, kind) in [(&foreign, "publisher-other"), (&mixed, "plugin-tampered")] {
        let revoke = environment.copal(["plugin", "publisher"]);
        let revoke = revoke.arg(acme.path("publisher.json"));
        let revoke = revoke.args(["--reason", "leaks", "--revoke-release"]);
        let revoke = revoke.arg(release);
        environment.refused(revoke, 1).is(kind);
    }
    let named = environment.copal(["plugin", "publisher", "--name", "copal", "--key"]);
    let named = named.arg(acme.path("key.pub")).arg(acme.path("new.json"));
    environment.refused(named, 1).is("plugin-reserved");
}

#[test]
fn a_release_by_a_key_that_was_replaced_is_told_from_theft() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let old = acme.release("1.0.0", &[]);
    acme.key("second");
    let second = acme.path("second.pub");
    acme.document(&format!("--key {}", second.display()), &["key", "second"]);
    // Signed by the old key, and brought with the newest document and its history.
    let component = vendor::component(NAME, "1.1.0", &[]);
    let late = acme.pack(&component, "late", &["key"]);
    let unknown = environment.copal(["plugin", "install"]).arg(&late);
    not_installed(&environment, unknown).is("key-retired");
    trust(&environment, &acme);
    for release in [&old, &late] {
        let known = environment.copal(["plugin", "install"]).arg(release);
        not_installed(&environment, known).is("key-retired");
    }
    // By what it brings itself the old one is whole.
    let verify = environment.copal(["plugin", "verify"]).arg(&old);
    let verified = verify.run().exits(1).text();
    assert!(verified.contains("WOULD BE REFUSED HERE"), "{verified}");
}

#[test]
fn an_old_archive_is_installed_by_those_who_know_a_newer_document() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", &[]);
    acme.document("", &["key"]);
    trust(&environment, &acme);
    install(&environment, &acme, &release).run().succeeds();
    // A fingerprint that is given is compared, also where the publisher is known.
    let wrong = || ["--fingerprint".to_owned(), "0".repeat(64)];
    let again = environment.copal(["plugin", "install"]).arg(&release);
    environment
        .refused(again.args(wrong()), 1)
        .is("publisher-fingerprint");
    let add = environment.copal(["trust", "add"]);
    let add = add.arg(acme.path("publisher.json")).args(wrong());
    environment.refused(add, 1).is("publisher-fingerprint");
}

#[test]
fn a_component_must_go_on_saying_what_it_said_when_it_was_installed() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    let component = environment.write("mine.wasm", vendor::component(NAME, "0.1.0", CONTAINERS));
    let hash = {
        let lines = "grant run:docker start *\ngrant run:docker stop *\n";
        vendor::sha256(lines.as_bytes())
    };
    let install = environment.copal(["plugin", "install", "--allow-unsigned"]);
    install
        .arg(&component)
        .args(["--approve", &hash])
        .run()
        .succeeds();
    // As if it had said less then: what it may ask for now nobody approved.
    let lock = environment.path("home/.local/share/copal/plugins.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    let less = text
        .replace(
            "[\"grant run:docker start *\", \"grant run:docker stop *\"]",
            "[\"grant run:docker start *\"]",
        )
        .replace(&hash, &vendor::sha256(b"grant run:docker start *\n"));
    assert_ne!(less, text);
    std::fs::write(&lock, less).unwrap();
    for program in [
        backup(&environment, &source),
        environment.copal(["plugin", "info", NAME]),
        environment.copal(["grants", "allow", NAME, GRANTS[0]]),
    ] {
        environment
            .refused(program, 1)
            .is("plugin-statement-differs")
            .says("run:docker stop *");
    }
}

#[test]
fn a_name_never_becomes_a_file_that_happens_to_be_called_so() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    let component = vendor::component("evil/notebook", "1.0.0", &[]);
    environment.write(NAME, &component);
    environment.write("notebook", &component);
    for name in [NAME, "notebook"] {
        let backup = environment.backup(name, &source, "");
        environment.refused(backup, 1).is("unknown-plugin");
        let text = format!("[jobs.mine]\nplugin = \"{name}\"\nroots = {{ files = \"source\" }}\n");
        environment.write("copal.toml", text);
        let job = environment.copal(["backup", "--job", "mine", "--yes"]);
        environment.refused(job, 1).is("unknown-plugin");
        let path = format!("./{name}");
        environment.backup(&path, &source, "").run().succeeds();
        // A job says which file it means, whether it grants anything or not, and a check says so too.
        let text = format!("[jobs.mine]\nplugin = \"{path}\"\nroots = {{ files = \"source\" }}\n");
        environment.write("copal.toml", text);
        let job = environment.copal(["backup", "--job", "mine", "--yes"]);
        environment.refused(job, 1).is("plugin-unpinned");
        let check = environment.copal(["config", "check"]).run().exits(1);
        let said = format!("{}{}", check.text(), check.stderr);
        assert!(said.contains("no `digest`"), "{said}");
    }
}

#[test]
fn a_job_restores_by_its_own_plugin_and_no_other() {
    let environment = TestEnvironment::with_repository();
    source(&environment);
    let first = vendor::component("mine/notebook", "1.0.0", &[]);
    let second = vendor::component("mine/notebook", "1.0.1", &[]);
    for (name, bytes) in [("first.wasm", &first), ("second.wasm", &second)] {
        environment.write(name, bytes);
    }
    let job = |plugin: &str| {
        let text = format!(
            "[jobs.mine]\n{plugin}\nroots = {{ files = \"source\" }}\n\
             [jobs.mine.restore]\nroots = {{ files = \"target\" }}\n[jobs.mine.drill]\n"
        );
        environment.write("copal.toml", text);
    };
    let pinned = |file: &str, bytes: &[u8]| {
        format!(
            "plugin = \"{file}\"\ndigest = \"{}\"",
            vendor::sha256(bytes)
        )
    };
    let restore = || environment.copal(["restore", "--job", "mine", "--yes"]);
    let drill = || environment.copal(["drill", "mine"]);
    job(&pinned("first.wasm", &first));
    let backup = environment.copal(["backup", "--job", "mine", "--yes"]);
    backup.run().succeeds();
    restore().run().succeeds();
    // As if somebody else had put a snapshot of the job into the repository.
    for (plugin, kind) in [
        (pinned("second.wasm", &second), "plugin-swapped"),
        ("plugin = \"files\"".to_owned(), "plugin-other"),
        ("plugin = \"first.wasm\"".to_owned(), "plugin-unpinned"),
    ] {
        job(&plugin);
        environment.refused(restore(), 1).is(kind);
        environment.refused(drill(), 1).is(kind);
    }
    job(&pinned("second.wasm", &second));
    let said = restore().args(["--plugin", "second.wasm"]);
    said.run().succeeds();
}

#[test]
fn grants_are_checked_before_any_of_them_counts() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", CONTAINERS);
    install(&environment, &acme, &release).run().succeeds();
    let grants = |command: &str, grants: &[&str]| {
        let program = environment.copal(["grants", command, NAME]);
        program.args(grants)
    };
    environment
        .refused(grants("allow", &[GRANTS[0], "run:rm -rf /"]), 1)
        .is("approval")
        .says("run:rm -rf /");
    environment
        .refused(grants("revoke", &[GRANTS[0]]), 1)
        .is("approval");
    grants("allow", &GRANTS).run().succeeds();
    environment
        .refused(grants("revoke", &[GRANTS[0], "run:docker stop other"]), 1)
        .is("approval");
    let list = environment.copal(["grants", "list"]).run().succeeds();
    assert!(list.text().contains(GRANTS[0]), "{}", list.text());
}

#[test]
fn nobody_is_asked_about_a_list_that_is_not_shown() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", CONTAINERS);
    trust(&environment, &acme);
    // `script` gives it a terminal.
    let line = format!(
        "script -qec '{} -q plugin install {}' /dev/null",
        copal_tests::environment::copal_binary().display(),
        release.display()
    );
    let program = environment.copal([""]).through_shell(&line);
    let outcome = program.input("n\n").run();
    let shown = outcome.text();
    assert!(
        shown.contains("Install it with these capabilities?"),
        "{shown}"
    );
    assert!(shown.contains("run:docker stop *"), "{shown}");
    assert!(shown.contains("declined"), "{shown}");
    assert_eq!(installed(&environment), None);
}

#[test]
fn a_release_is_verified_against_what_is_known_here() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", &[]);
    let here = || {
        let verify = environment.copal(["plugin", "verify", "--json"]);
        verify.arg(&release).run()
    };
    let refused = || here().exits(1).json();
    let here = || here().succeeds().json();
    assert_eq!(here()["signed"], 1);
    assert_eq!(here()["here"]["known"], serde_json::Value::Null);
    trust(&environment, &acme);
    assert_eq!(here()["here"]["known"], 1);
    let path = release.to_str().unwrap().to_owned();
    acme.document(&format!("--revoke-release {path} --reason leaks"), &["key"]);
    trust(&environment, &acme);
    assert_eq!(refused()["here"]["revoked"], "leaks");
    let verify = environment.copal(["plugin", "verify"]).arg(&release);
    let text = verify.run().exits(1).text();
    assert!(text.contains("REVOKED, as is known here: leaks"), "{text}");
}

#[test]
fn no_version_of_a_document_is_lost_or_built_upon_before_it_is_signed() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let file = acme.path("publisher.json");
    let next = || environment.copal(["plugin", "publisher"]).arg(&file);
    next().run().succeeds();
    let unsigned = std::fs::read(&file).unwrap();
    environment.refused(next(), 1).is("plugin-unsigned");
    assert_eq!(std::fs::read(&file).unwrap(), unsigned);
    // A version that was kept stays what it is.
    acme.sign(&file, "key");
    std::fs::write(acme.path("publisher.2.json"), "another").unwrap();
    environment.refused(next(), 1).is("publisher");
    assert_eq!(std::fs::read(&file).unwrap(), unsigned);
    assert_eq!(
        std::fs::read(acme.path("publisher.2.json")).unwrap(),
        b"another"
    );
}

#[test]
fn what_comes_with_copal_works_beside_a_trust_folder_that_can_not_be_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", &[]);
    install(&environment, &acme, &release).run().succeeds();
    let folder = environment.path("home/.local/share/copal");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o775)).unwrap();
    environment.backup("files", &source, "").run().succeeds();
    environment.copal(["snapshots"]).run().succeeds();
    environment.copal(["resume"]).run().succeeds();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    let detect = environment.copal(["detect"]).arg(&source);
    detect.run().succeeds();
    let backup = environment.backup(NAME, &source, "");
    environment.refused(backup, 1).is("trust-exposed");
}

#[test]
fn a_secret_key_given_for_a_public_one_is_not_shown() {
    let environment = TestEnvironment::new();
    let acme = Vendor::without_document(&environment, "acme");
    let secret = std::fs::read_to_string(acme.path("key.key")).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    let program = environment.copal(["plugin", "publisher", "--name", "acme"]);
    let program = program.arg(acme.path("publisher.json"));
    let refusal = environment.refused(program.arg("--key").arg(acme.path("key.key")), 1);
    refusal.is("key").says("key.key holds a secret key");
    assert!(!refusal.outcome.stderr.contains(secret));
    assert!(!acme.path("publisher.json").exists());
}

#[test]
fn a_release_takes_the_place_of_another_only_where_that_is_said() {
    let environment = TestEnvironment::new();
    let acme = Vendor::new(&environment, "acme");
    let release = acme.release("1.0.0", &[]);
    let other = environment.write("other.wasm", vendor::component(NAME, "1.0.1", &[]));
    let pack = || {
        let program = environment.copal(["plugin", "pack"]).arg(&other);
        program.arg("--to").arg(&release)
    };
    environment.refused(pack(), 1).says("--replace");
    pack().arg("--replace").run().succeeds();
    assert_eq!(
        std::fs::read(release.join("plugin.wasm")).unwrap(),
        std::fs::read(&other).unwrap()
    );
}
