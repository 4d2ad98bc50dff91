//! The book: what its pages tell a reader to do works as written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use copal_tests::TestEnvironment;
use copal_tests::book::Chapter;
use copal_tests::programs;

/// Why performing this page fails; none where it does not.
fn fault(page: &str) -> Option<String> {
    let performed = std::panic::catch_unwind(|| {
        Chapter::parse(page).perform(&TestEnvironment::new());
    });
    performed
        .err()
        .map(|reason| *reason.downcast::<String>().expect("a message"))
}

#[test]
fn a_page_that_says_how_it_is_passes() {
    let page = "\
Words with `code`.

```toml file=a/b.toml
x = 1
```

```console
$ cd a && name=b
$ cat $name.toml
x = 1
$ printf '%s\\n' \\
    one 2 three
one
…
$ echo \"took 12 s of 30\"; copal --version
took … s of …
copal …
```

```sh
never run
```

```console fails
$ true
$ ls /nowhere
ls: …
```
";
    assert_eq!(fault(page), None);
}

#[test]
fn a_page_that_says_otherwise_than_it_is_fails_with_the_command() {
    for (page, message) in [
        ("```console\n$ true\n$ false\n```\n", "$ false"),
        ("```console fails\n$ true\n```\n", "exited with 0"),
        ("```console fails\n$ false\n$ false\n```\n", "exited with 1"),
        (
            "```console\n$ echo one; echo two\none\n```\n",
            "and it printed:\none\ntwo",
        ),
        (
            "```console\n$ echo one\none\ntwo\n```\n",
            "the page shows:\n$ echo one\none\ntwo",
        ),
        (
            "```console\n$ echo one two\none … three\n```\n",
            "and it printed:\none two",
        ),
        (
            "```console\n$ exit 0\n$ true\n```\n",
            "never came to this:\n$ exit 0",
        ),
    ] {
        let fault = fault(page).unwrap_or_default();
        assert!(fault.contains(message), "{page}\n{fault}");
    }
}

#[test]
fn the_tutorial_leads_from_an_empty_folder_to_a_plugin_that_restores() {
    Chapter::read("authors/tutorial.md").perform(&TestEnvironment::new());
}

#[test]
fn the_page_about_looking_leads_through_a_repository() {
    Chapter::read("look.md").perform(&TestEnvironment::new());
}

#[test]
fn the_vendors_page_leads_from_a_plugin_to_a_signed_release_and_its_revocation() {
    if programs::require("minisign", "minisign").is_some() {
        Chapter::read("vendors/release.md").perform(&TestEnvironment::new());
    }
}

/// What the operators' page finds in its folder, and what its reader knows by other ways.
const RELEASES: &str = r#"
```console
$ echo secret > password; export COPAL_KEY_PASSWORD_FILE=$PWD/password
$ copal plugin new acme/notebook
$ copal plugin keygen acme
$ copal plugin publisher publisher.json --name acme --key acme.pub --valid-days 365
$ copal plugin sign publisher.json --key acme.key
$ for version in 0.1.0 0.2.0; do \
    sed -i "s/^version = .*/version = \"$version\"/" notebook/Cargo.toml && \
    copal plugin build notebook && \
    copal plugin pack notebook/target/plugin/notebook.wasm --to release --publisher publisher.json --key acme.key && \
    copal plugin export release notebook-$version.tar && \
    rm -r release || exit; done
$ ACME=$(sha256sum publisher.json | cut -d ' ' -f 1)
$ ASKED=$(copal plugin verify notebook-0.1.0.tar | sed -n 's/^capabilities //p')
```
"#;

#[test]
fn the_operators_page_leads_from_a_release_to_a_backup_and_away_again() {
    let page = Chapter::read("plugins.md").after(RELEASES);
    page.perform(&TestEnvironment::new());
}
