//! The data folder: what is installed, what stays, and what happens to it in wrong hands.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use copal_trust::{COMPONENT, Change, PUBLISHER, STATEMENT, Store};

use crate::world::{
    NAME, Signer, World, capability, component, days, introduction, kind, name, next, now, release,
    statement, terms, with_publisher,
};

/// Every file and folder below, with its permissions.
fn listing(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o777;
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let below = listing(&path).into_iter();
            found.extend(below.map(|(file, mode)| (format!("{name}/{file}"), mode)));
        }
        found.push((name, mode));
    }
    found.sort();
    found
}

#[test]
fn everything_lies_where_it_should_and_is_private() {
    let world = World::new();
    let digest = world.install_version("1.0.0").digest;
    let found = listing(&world.path("."));
    let expected = [
        ("lock".to_owned(), 0o600),
        ("plugins".to_owned(), 0o700),
        ("plugins.lock".to_owned(), 0o600),
        (format!("plugins/{digest}"), 0o700),
        (format!("plugins/{digest}/plugin.wasm"), 0o600),
        (format!("plugins/{digest}/release.json"), 0o600),
        (format!("plugins/{digest}/release.json.minisig"), 0o600),
        ("publishers".to_owned(), 0o700),
        ("publishers/acme".to_owned(), 0o700),
        ("publishers/acme/1.json".to_owned(), 0o600),
        ("publishers/acme/1.json.minisig".to_owned(), 0o600),
    ];
    assert_eq!(found, expected);
    let mode = world.path(".").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_lock_file_is_written_for_people() {
    let world = World::new();
    let digest = world.install_version("1.0.0").digest;
    let hash = world.release("1.0.0").0.capability_hash();
    let text = fs::read_to_string(world.path("plugins.lock")).unwrap();
    let expected = format!(
        r#"# Written by Copal: what is installed, and what must not be older. Change it with `copal plugin`.
format = 1

[plugins."acme/notebook".seen]
version = "1.0.0"
digest = "{digest}"

[plugins."acme/notebook".installed]
version = "1.0.0"
digest = "{digest}"
unsigned = false
publisher_version = 1
capability_hash = "{hash}"
capabilities = ["grant run:docker stop *"]
installed = "2026-11-28T12:00:00Z"
from = "a folder"
"#
    );
    assert_eq!(text, expected);
}

#[test]
fn what_is_installed_is_found_again_with_all_that_another_machine_needs() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    let bundle = with_publisher(bundle, &world.document, &[&world.acme]);
    world.store.distrust("acme").unwrap();
    world.trust(&bundle);
    world.install(&statement, &bundle);

    let [installed] = &world.store.list().unwrap()[..] else {
        panic!("one plugin is installed");
    };
    assert_eq!(
        (installed.name.as_str(), installed.version.to_string()),
        (NAME, "1.0.0".into())
    );
    assert_eq!(
        (installed.from.as_str(), installed.installed),
        ("a folder", now())
    );
    assert_eq!(installed.statement().unwrap().unwrap(), statement);
    let exported = installed.bundle().unwrap();
    assert_eq!(exported, bundle);

    let elsewhere = World::new();
    elsewhere.store.distrust("acme").unwrap();
    assert_eq!(elsewhere.refusal(&exported), "publisher-unknown");
    elsewhere.trust(&exported);
    elsewhere.install(&statement, &exported);
    let again = elsewhere.store.installed(&name(NAME)).unwrap().unwrap();
    assert_eq!(again.bundle().unwrap(), bundle);
}

#[test]
fn an_export_brings_every_version_of_the_publisher_document() {
    let world = World::new();
    world.install_version("1.0.0");
    let fresh = Signer::new();
    let second = next(&world.document)
        .with_key(fresh.public())
        .without_key(&world.acme.public());
    world.trust(&introduction(&second, &[&world.acme, &fresh]));
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    let names: Vec<String> = installed
        .bundle()
        .unwrap()
        .files()
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "plugin.wasm",
            "publisher.1.json",
            "publisher.1.json.minisig",
            "publisher.json",
            "publisher.json.1.minisig",
            "publisher.json.minisig",
            "release.json",
            "release.json.minisig",
        ]
    );
}

#[test]
fn an_update_takes_the_place_of_what_was_there() {
    let world = World::new();
    let old = world.install_version("1.0.0").digest;
    let (statement, bundle) = world.release("1.1.0");
    let candidate = world.check(&bundle).unwrap();
    assert_eq!(
        candidate.change,
        Change::Update {
            from: "1.0.0".parse().unwrap()
        }
    );
    assert!(!candidate.needs_approval());
    let confirmed = world.confirmed(&statement, &bundle);
    world.store.install(&confirmed, None, "a folder").unwrap();
    assert!(!world.path("plugins").join(old).exists());
    assert_eq!(world.check(&bundle).unwrap().change, Change::Again);
    world.install(&statement, &bundle);
    assert_eq!(world.store.list().unwrap().len(), 1);
}

#[test]
fn a_release_that_more_keys_signed_since_replaces_its_signatures() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    world.install(&statement, &bundle);
    let fresh = Signer::new();
    let mut more = bundle.clone();
    more.insert(
        "release.json.1.minisig",
        fresh.sign(bundle.get(STATEMENT).unwrap()),
    )
    .unwrap();
    world.install(&statement, &more);
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    assert_eq!(installed.bundle().unwrap().signatures(STATEMENT).count(), 2);
}

#[test]
fn a_new_capability_is_asked_for_and_an_old_one_is_not() {
    let world = World::new();
    world.install_version("1.0.0");
    let component = component("1.1.0");
    let mut statement = statement(NAME, "1.1.0", &component);
    statement.capabilities.push(capability("http:POST *"));
    statement.imports.push("wasi:io/poll@0.2.0".into());
    let bundle = release(&statement, &component, &[&world.acme]);
    let candidate = world.check(&bundle).unwrap();
    let new: Vec<_> = candidate
        .new_asks()
        .map(|asked| (asked.line.as_str(), asked.reason.as_deref()))
        .collect();
    let reason = Some("The notebook must hold still.");
    assert_eq!(
        new,
        [
            ("grant http:POST *", reason),
            ("import wasi:io/poll@0.2.0", None)
        ]
    );
    assert_eq!(candidate.asks.len(), 3);

    let confirmed = world.confirmed(&statement, &bundle);
    let install = |approved: Option<&str>| world.store.install(&confirmed, approved, "a folder");
    let refusal = install(None).unwrap_err();
    assert_eq!(refusal.kind(), "plugin-capabilities");
    assert!(
        refusal
            .advice()
            .unwrap()
            .contains(&statement.capability_hash())
    );
    let old = world.release("1.0.0").0.capability_hash();
    for wrong in [old.as_str(), "", "\u{1b}[2J"] {
        assert_eq!(kind(install(Some(wrong))), "plugin-capabilities");
    }
    let installed = || {
        world
            .store
            .installed(&name(NAME))
            .unwrap()
            .unwrap()
            .version
            .to_string()
    };
    assert_eq!(installed(), "1.0.0");
    install(Some(&statement.capability_hash())).unwrap();
    assert_eq!(installed(), "1.1.0");
}

#[test]
fn a_capability_less_is_nothing_to_ask_for() {
    let world = World::new();
    world.install_version("1.0.0");
    let component = component("1.1.0");
    let mut statement = statement(NAME, "1.1.0", &component);
    statement.capabilities.clear();
    let bundle = release(&statement, &component, &[&world.acme]);
    assert!(!world.check(&bundle).unwrap().needs_approval());
    let confirmed = world.confirmed(&statement, &bundle);
    world.store.install(&confirmed, None, "a folder").unwrap();
    // What is given up has to be asked for again.
    assert!(
        world
            .check(&world.release("1.2.0").1)
            .unwrap()
            .needs_approval()
    );
}

#[test]
fn what_is_removed_can_not_come_back_older() {
    let world = World::new();
    world.install_version("1.0.0");
    world.install_version("2.0.0");
    let removal = world.store.remove(&name(NAME)).unwrap();
    assert_eq!(removal.version.to_string(), "2.0.0");
    assert!(world.store.list().unwrap().is_empty());
    assert_eq!(fs::read_dir(world.path("plugins")).unwrap().count(), 0);
    assert_eq!(
        kind(world.store.remove(&name(NAME))),
        "plugin-not-installed"
    );
    assert_eq!(world.refusal(&world.release("1.0.0").1), "plugin-downgrade");
    let again = world.check(&world.release("2.0.0").1).unwrap();
    assert!(again.change == Change::New && again.needs_approval());
    assert!(world.store.publisher("acme").unwrap().is_some());
}

#[test]
fn a_publisher_stays_known_while_its_plugins_are_installed() {
    let world = World::new();
    world.install_version("1.0.0");
    assert_eq!(kind(world.store.distrust("acme")), "publisher-in-use");
    world.store.remove(&name(NAME)).unwrap();
    world.store.distrust("acme").unwrap();
    assert_eq!(
        world.refusal(&world.release("2.0.0").1),
        "publisher-unknown"
    );
    for bad in ["..", "../plugins", "", "acme/x", "\u{1b}"] {
        assert_eq!(kind(world.store.distrust(bad)), "plugin-name");
        assert_eq!(kind(world.store.publisher(bad)), "plugin-name");
    }
}

#[test]
fn installing_adopts_the_newer_document_that_a_release_brings() {
    let world = World::new();
    let second = next(&world.document);
    let (statement, bundle) = world.release("1.0.0");
    let bundle = with_publisher(bundle, &second, &[&world.acme]);
    world.check(&bundle).unwrap();
    let version = || {
        world
            .store
            .publisher("acme")
            .unwrap()
            .unwrap()
            .document
            .version
    };
    assert_eq!(version(), 1, "checking changes nothing");
    world.install(&statement, &bundle);
    assert_eq!(version(), 2);
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    assert_eq!(installed.publisher_version, Some(2));
}

#[test]
fn what_changed_since_the_check_counts() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    let confirmed = world.confirmed(&statement, &bundle);
    let second = next(&world.document).with_revoked_release(&statement.sha256, "Loses data.");
    world.trust(&introduction(&second, &[&world.acme]));
    let installed = world
        .store
        .install(&confirmed, Some(&statement.capability_hash()), "a folder");
    assert_eq!(kind(installed), "plugin-revoked");
}

#[test]
fn what_is_installed_is_used_after_its_publisher_expired() {
    let world = World::new();
    world.install_version("1.0.0");
    let mut late = terms();
    late.now = now() + days(1000);
    let refused = world.store.check(&world.release("1.1.0").1, &late);
    assert_eq!(kind(refused), "publisher-expired");
    assert!(
        world
            .store
            .installed(&name(NAME))
            .unwrap()
            .unwrap()
            .bundle()
            .is_ok()
    );
}

#[test]
fn a_swapped_file_is_noticed_whenever_it_is_used() {
    let world = World::new();
    let digest = world.install_version("1.0.0").digest;
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    let folder = world.path("plugins").join(digest);
    let (other, _) = world.release("1.1.0");

    let component_file = folder.join(COMPONENT);
    let whole = fs::read(&component_file).unwrap();
    fs::write(&component_file, component("1.1.0")).unwrap();
    assert_eq!(kind(installed.bundle()), "plugin-swapped");
    fs::remove_file(&component_file).unwrap();
    assert_eq!(kind(installed.bundle()), "plugin-swapped");
    let elsewhere = world.path("elsewhere");
    fs::write(&elsewhere, &whole).unwrap();
    symlink(&elsewhere, &component_file).unwrap();
    assert_eq!(kind(installed.bundle()), "trust-damaged");
    fs::remove_file(&component_file).unwrap();
    fs::write(&component_file, &whole).unwrap();
    assert!(installed.bundle().is_ok());

    let statement_file = folder.join(STATEMENT);
    let text = fs::read_to_string(&statement_file).unwrap();
    let wider = text.replace("run:docker stop *", "run:*");
    for changed in [
        wider,
        String::from_utf8(other.to_bytes().unwrap()).unwrap(),
        "{}".into(),
    ] {
        fs::write(&statement_file, changed).unwrap();
        assert_eq!(kind(installed.statement()), "plugin-swapped");
        assert_eq!(kind(installed.bundle()), "plugin-swapped");
    }
    fs::remove_file(&statement_file).unwrap();
    assert_eq!(kind(installed.bundle()), "plugin-swapped");
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(kind(installed.bundle()), "plugin-swapped");
    symlink(world.path("publishers"), &folder).unwrap();
    assert_eq!(kind(installed.bundle()), "trust-damaged");
}

#[test]
fn damage_is_told_and_nothing_is_overwritten() {
    let world = World::new();
    world.install_version("1.0.0");
    let hash = world.release("1.0.0").0.capability_hash();
    let valid = fs::read_to_string(world.path("plugins.lock")).unwrap();
    let (statement, bundle) = world.release("1.1.0");
    let confirmed = world.confirmed(&statement, &bundle);
    for damaged in [
        "garbage".to_owned(),
        "format = 2\n".to_owned(),
        valid.replace("acme/notebook", "../notebook"),
        valid.replace("unsigned = false", "unsigned = \"\u{7}\""),
        valid.replace("digest = \"", "digest = \"../"),
        valid.replace("run:docker stop *", "run:*"),
        valid.replace(
            "[plugins.\"acme/notebook\".seen]\nversion = \"1.0.0\"",
            "[plugins.\"acme/notebook\".seen]\nversion = \"one\"",
        ),
        format!("{valid}surprise = 1\n"),
    ] {
        fs::write(world.path("plugins.lock"), &damaged).unwrap();
        assert_eq!(kind(world.store.list()), "trust-damaged", "{damaged}");
        let installed = world.store.install(&confirmed, Some(&hash), "a folder");
        assert_eq!(kind(installed), "trust-damaged");
        assert_eq!(kind(world.store.remove(&name(NAME))), "trust-damaged");
        assert_eq!(
            fs::read_to_string(world.path("plugins.lock")).unwrap(),
            damaged
        );
    }
    fs::write(world.path("plugins.lock"), valid).unwrap();
    assert_eq!(world.store.list().unwrap().len(), 1);
}

#[test]
fn a_damaged_publisher_document_is_told() {
    let world = World::new();
    let folder = world.path("publishers").join("acme");
    let path = folder.join("1.json");
    let valid = fs::read_to_string(&path).unwrap();
    let other = Signer::new();
    let resigned = next(&crate::world::first("acme", &[&other], 1))
        .to_bytes()
        .unwrap();
    for damaged in [
        valid.replace("\"threshold\": 1", "\"threshold\": 2"),
        valid.replace("acme", "beta"),
        String::from_utf8(resigned).unwrap(),
        String::new(),
    ] {
        fs::write(&path, damaged).unwrap();
        assert_eq!(kind(world.store.publisher("acme")), "trust-damaged");
        assert_eq!(world.refusal(&world.release("1.0.0").1), "trust-damaged");
    }
    fs::write(&path, &valid).unwrap();
    fs::copy(&path, folder.join("3.json")).unwrap();
    fs::copy(folder.join("1.json.minisig"), folder.join("3.json.minisig")).unwrap();
    assert_eq!(
        kind(world.store.publishers()),
        "trust-damaged",
        "version 1 under another name"
    );
    fs::remove_file(folder.join("3.json")).unwrap();
    assert!(world.store.publisher("acme").is_ok());
    fs::remove_file(&path).unwrap();
    assert_eq!(kind(world.store.publisher("acme")), "trust-damaged");
    world.store.distrust("acme").unwrap();
    assert!(world.store.publisher("acme").unwrap().is_none());
}

#[test]
fn links_in_the_data_folder_are_not_followed() {
    for place in [
        "plugins.lock",
        "approvals.json",
        "publishers",
        "publishers/acme",
        "plugins",
    ] {
        let world = World::new();
        let elsewhere = tempfile::tempdir().unwrap();
        let path = world.path(place);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        }
        symlink(elsewhere.path(), &path).unwrap();
        let (statement, bundle) = world.release("1.0.0");
        let installed = world.check(&bundle).and_then(|candidate| {
            let confirmed = candidate.confirm(&crate::world::described(&statement))?;
            world
                .store
                .install(&confirmed, Some(&statement.capability_hash()), "a folder")?;
            world.store.approvals()
        });
        assert_eq!(kind(installed), "trust-damaged", "{place}");
        assert_eq!(
            fs::read_dir(elsewhere.path()).unwrap().count(),
            0,
            "{place}"
        );
    }
}

#[test]
fn a_folder_that_others_may_write_to_holds_no_trust() {
    let world = World::new();
    let folder = world.path(".");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(kind(world.store.list()), "trust-exposed");
    assert_eq!(kind(world.store.publisher("acme")), "trust-exposed");
    assert_eq!(kind(world.store.publishers()), "trust-exposed");
    assert_eq!(kind(world.store.approvals()), "trust-exposed");
    assert_eq!(kind(world.store.distrust("acme")), "trust-exposed");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(world.store.list().is_ok());
    let file = Store::new(&world.path("lock"));
    assert_eq!(kind(file.list()), "trust-damaged");
    // What lies within counts as much as the folder itself.
    let digest = world.install_version("1.0.0").digest;
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    for place in ["plugins".to_owned(), format!("plugins/{digest}")] {
        let place = world.path(&place);
        fs::set_permissions(&place, fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(kind(installed.component()), "trust-exposed");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    }
    for place in ["publishers", "publishers/acme"] {
        let place = world.path(place);
        fs::set_permissions(&place, fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(kind(world.store.publisher("acme")), "trust-exposed");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    }
    assert!(installed.bundle().is_ok());
}

#[test]
fn looking_makes_no_folder() {
    let above = tempfile::tempdir().unwrap();
    let store = Store::new(&above.path().join("copal"));
    assert!(store.list().unwrap().is_empty());
    assert!(store.publishers().unwrap().is_empty());
    assert!(store.approvals().unwrap().is_empty());
    assert!(store.installed(&name(NAME)).unwrap().is_none());
    assert!(!above.path().join("copal").exists());
}

#[test]
fn what_a_crash_left_is_swept_away_and_never_read() {
    let world = World::new();
    for place in ["plugins/.new-crash", "publishers/.old-crash", ".new-crash"] {
        fs::create_dir_all(world.path(place)).unwrap();
        fs::write(world.path(place).join("1.json"), "half").unwrap();
    }
    assert_eq!(world.store.publishers().unwrap().len(), 1);
    world.install_version("1.0.0");
    for place in ["plugins/.new-crash", "publishers/.old-crash", ".new-crash"] {
        assert!(!world.path(place).exists(), "{place}");
    }
}

#[test]
fn a_document_whose_writing_was_cut_off_can_be_brought_again() {
    let world = World::new();
    let folder = world.path("publishers").join("acme");
    let leftover = folder.join("2.json.1.minisig");
    fs::write(&leftover, world.acme.sign(b"another version 2")).unwrap();
    assert!(world.store.publisher("acme").unwrap().is_some());
    world.trust(&introduction(&next(&world.document), &[&world.acme]));
    assert!(!leftover.exists());
    let known = world.store.publisher("acme").unwrap().unwrap();
    assert_eq!(known.document.version, 2);
}

#[test]
fn many_processes_at_once_lose_nothing() {
    let world = World::new();
    let digest = "ab".repeat(32);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let (store, digest) = (world.store.clone(), &digest);
            scope.spawn(move || {
                for j in 0..4 {
                    let grants = [format!("run:program {i} {j}")];
                    store.allow(&name(NAME), digest, digest, &grants).unwrap();
                }
            });
        }
    });
    let grants = world.store.approved(&name(NAME), &digest, &digest).unwrap();
    assert_eq!(grants.len(), 32);
}

#[test]
fn a_lock_that_is_not_given_back_is_told() {
    let world = World::new();
    let file = fs::File::open(world.path("lock")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(kind(world.store.distrust("acme")), "trust-busy");
}

#[test]
fn what_goes_with_a_component_does_not_grow_with_its_publishers_history() {
    let world = World::new();
    let digest = world.install_version("1.0.0").digest;
    let mut document = world.document.clone();
    let mut last = Default::default();
    for _ in 0..40 {
        document = next(&document);
        last = introduction(&document, &[&world.acme]);
        world.trust(&last);
    }
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    let release = installed.release().unwrap();
    let names: Vec<&str> = release.files().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "publisher.json",
            "publisher.json.minisig",
            "release.json",
            "release.json.minisig"
        ]
    );
    assert_eq!(release.get(PUBLISHER), last.get(PUBLISHER));
    assert_eq!(
        crate::world::sha256(&installed.component().unwrap()),
        digest
    );
    assert_eq!(installed.bundle().unwrap().files().count(), 3 + 2 * 41);
}

#[test]
fn a_component_that_says_something_else_than_when_it_was_installed_is_not_used() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    world.install(&statement, &bundle);
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    let same = crate::world::described(&statement);
    installed.confirm(&same).unwrap();
    type Alter = fn(&mut copal_trust::Described);
    let others: [Alter; 4] = [
        |said| said.name = "acme/diary".into(),
        |said| said.version = "1.0.1".into(),
        |said| said.capabilities.push(capability("run:rm *")),
        |said| said.imports.push("wasi:io/poll@0.2.0".into()),
    ];
    for alter in others {
        let mut other = same.clone();
        alter(&mut other);
        assert_eq!(kind(installed.confirm(&other)), "plugin-statement-differs");
    }
}

#[test]
fn a_hash_that_was_meant_for_another_plugin_keeps_none_from_its_update() {
    let world = World::new();
    world.install_version("1.0.0");
    let (statement, bundle) = world.release("1.1.0");
    let confirmed = world.confirmed(&statement, &bundle);
    let other = "ab".repeat(32);
    world
        .store
        .install(&confirmed, Some(&other), "a folder")
        .unwrap();
}

#[test]
fn where_a_release_came_from_is_kept_as_it_is() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    let confirmed = world.confirmed(&statement, &bundle);
    let hash = statement.capability_hash();
    let place = format!("/srv/tab\t\"quoted\" \\ ü\u{301}/{}", "x".repeat(2000));
    let install = |from: &str| world.store.install(&confirmed, Some(&hash), from);
    install(&place).unwrap();
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    assert_eq!(installed.from, place);
    assert_eq!(kind(install(&"x".repeat(4097))), "address");
}
