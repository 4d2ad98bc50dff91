//! Plans over a scripted database, and dumps on their way through the filters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod backup;
mod dump;
mod restore;
mod support;
mod verify;

use copal_plugin_liquibase::LiquibasePlugin;
use copal_sdk::Plugin;
use copal_sdk::testing::{FakeProbe, MemoryTree, check_description};

#[test]
fn the_description_keeps_the_contract() {
    check_description::<LiquibasePlugin>();
}

#[test]
fn changelogs_migrations_and_dumps_are_recognised() {
    for (path, content, root) in [
        (
            "db.changelog-master.xml",
            "<databaseChangeLog/>",
            Some("changelog"),
        ),
        ("a.sql", "--Liquibase formatted SQL", Some("changelog")),
        ("sub/V1__a.sql", "create", Some("changelog")),
        (
            "shop.sql",
            "--\n-- PostgreSQL database dump\n--",
            Some("dump"),
        ),
        ("shop.dump", "PGDMP", Some("dump")),
        ("notes.txt", "databaseChangeLog", None),
    ] {
        let tree = MemoryTree::new("any").file(path, content);
        let found = LiquibasePlugin::detect(&tree, &FakeProbe::new()).unwrap();
        assert_eq!(found.map(|found| found.root).as_deref(), root, "{path}");
    }
}
