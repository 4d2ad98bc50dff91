use std::collections::BTreeSet;
use std::process::Command;

use toml::Table;

use super::*;

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn made(language: Language, name: &str) -> (tempfile::TempDir, Created) {
    let place = tempfile::tempdir().unwrap();
    let created = create(&New {
        directory: &place.path().join("project"),
        name: &name.parse().unwrap(),
        language,
    });
    (place, created.unwrap())
}

fn read(created: &Created, path: &str) -> String {
    fs::read_to_string(created.directory.join(path)).unwrap()
}

#[test]
fn a_project_is_called_as_it_was_asked_for_and_has_no_marker_left() {
    let (_place, created) = made(Language::Rust, "acme/my-app");
    for path in &created.files {
        let text = read(&created, path);
        for marker in ["{{publisher", "{{name", "{{Name", "{{version"] {
            assert!(!text.contains(marker), "{path}: {marker}");
        }
    }
    for (path, text) in [
        ("Cargo.toml", "name = \"copal-plugin-my-app\""),
        ("Cargo.lock", "name = \"copal-plugin-my-app\""),
        ("src/lib.rs", "\"acme/my-app\""),
        ("src/lib.rs", "pub struct MyAppPlugin;"),
        ("tests/plans.rs", "use copal_plugin_my_app::"),
        ("README.md", "target/plugin/my-app.wasm"),
    ] {
        assert!(read(&created, path).contains(text), "{path}: {text}");
    }
    assert_eq!(
        Language::of_project(&created.directory).unwrap(),
        Language::Rust
    );
}

#[test]
fn a_project_brings_the_contract_and_the_sdk_with_it() {
    let (_place, created) = made(Language::Rust, "acme/notebook");
    let copy = created.directory.join("copal");
    for (own, original) in [("wit", "wit"), ("sdk/src", "sdk/src")] {
        let names = |folder: PathBuf| -> BTreeSet<_> {
            let entries = fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!(names(copy.join(own)), names(root().join(original)));
    }
    let original = fs::read(root().join("sdk/src/sql/lexer.rs")).unwrap();
    assert_eq!(
        fs::read(copy.join("sdk/src/sql/lexer.rs")).unwrap(),
        original
    );

    let sdk: Table = read(&created, "copal/sdk/Cargo.toml").parse().unwrap();
    let workspace: Table = fs::read_to_string(root().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(sdk["package"]["version"].as_str(), Some(VERSION));
    for (name, dependency) in sdk["dependencies"].as_table().unwrap() {
        assert_eq!(*dependency, workspace["workspace"]["dependencies"][name]);
    }
}

/// With the variable `COPAL_BLESS` the template's lock is made anew instead.
#[test]
fn a_project_locks_the_versions_that_the_workspace_locks() {
    let (_place, created) = made(Language::Rust, "acme/notebook");
    let lock = created.directory.join("Cargo.lock");
    let given = fs::read_to_string(&lock).unwrap_or_default();
    fs::copy(root().join("Cargo.lock"), &lock).unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap());
    cargo.current_dir(&created.directory);
    crate::command::output(cargo.args(["update", "--workspace", "--offline"])).unwrap();
    let made = fs::read_to_string(&lock).unwrap();
    if std::env::var_os("COPAL_BLESS").is_some() {
        let template = made.replace("copal-plugin-notebook", "copal-plugin-{{name}}");
        fs::write(root().join("sdk/template/rust/Cargo.lock"), template).unwrap();
    } else {
        assert!(
            given == made,
            "sdk/template/rust/Cargo.lock is behind the workspace's: run `COPAL_BLESS=1 cargo test -p copal-authoring locks`"
        );
    }
}

#[test]
fn renewing_brings_copals_part_back_and_leaves_the_authors() {
    let (_place, created) = made(Language::Rust, "acme/notebook");
    let project = &created.directory;
    let original = read(&created, "copal/wit/app.wit");
    fs::write(
        project.join("copal/wit/app.wit"),
        "package copal:plugin@0.0.9;",
    )
    .unwrap();
    fs::write(project.join("copal/left.rs"), "").unwrap();
    fs::write(project.join("src/lib.rs"), "mine").unwrap();

    let renewed = renew(project).unwrap();

    assert_eq!(renewed.version, VERSION);
    assert_eq!(read(&created, "copal/wit/app.wit"), original);
    assert!(!project.join("copal/left.rs").exists());
    assert_eq!(read(&created, "src/lib.rs"), "mine");
    let hidden = |name: &str| name.starts_with(".copal");
    let mut entries = fs::read_dir(project).unwrap();
    assert!(!entries.any(|entry| hidden(&entry.unwrap().file_name().to_string_lossy())));
}

#[test]
fn a_folder_of_someone_elses_is_not_renewed() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("Cargo.toml"), "").unwrap();
    fs::create_dir(place.path().join("copal")).unwrap();
    fs::write(place.path().join("copal/mine"), "").unwrap();
    let error = renew(place.path()).unwrap_err();
    assert!(matches!(error, Error::NoCopy(_)), "{error}");
    assert!(place.path().join("copal/mine").exists());
}

#[test]
fn what_is_there_already_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let link = place.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for directory in [place.path(), &file, &link] {
        let error = create(&New {
            directory,
            name: &"acme/notebook".parse().unwrap(),
            language: Language::Rust,
        });
        assert!(
            matches!(error.unwrap_err(), Error::Exists(_)),
            "{}",
            directory.display()
        );
    }
}
