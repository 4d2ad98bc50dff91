//! Recognises the folder of a changelog or of migrations, and one with a dump.

use copal_sdk::{Detection, Failure, Tree};

use crate::{CHANGELOG, DUMP, flyway};

/// More of a file's beginning than is needed to see what it is.
const HEAD: u32 = 4 << 10;

pub(crate) fn detect(root: &dyn Tree) -> Result<Option<Detection>, Failure> {
    let mut dump = None;
    for entry in root.list("")?.into_iter().filter(|entry| entry.is_file()) {
        let extension = entry
            .path
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension);
        if !matches!(extension, "xml" | "yaml" | "yml" | "json" | "sql" | "dump") {
            continue;
        }
        let head = root.read(&entry.path, 0, HEAD)?;
        let head = String::from_utf8_lossy(&head);
        let changelog = head.contains("databaseChangeLog")
            || head
                .to_ascii_lowercase()
                .contains("liquibase formatted sql");
        if changelog {
            return Ok(Some(
                Detection::new("Liquibase on PostgreSQL", CHANGELOG, 70)
                    .because(format!("{} is a changelog", entry.path)),
            ));
        }
        if head.starts_with("PGDMP") || head.contains("-- PostgreSQL database dump") {
            dump = Some(entry.path);
        }
    }
    let migrations = flyway::read(root, &[])?;
    if let Some(migration) = migrations.first() {
        let because = format!(
            "{} is one of {} migrations",
            migration.script,
            migrations.len()
        );
        return Ok(Some(
            Detection::new("Flyway on PostgreSQL", CHANGELOG, 60).because(because),
        ));
    }
    // A dump is any PostgreSQL database's.
    Ok(dump.map(|dump| {
        Detection::new("Liquibase on PostgreSQL", DUMP, 10)
            .because(format!("{dump} is a dump of PostgreSQL"))
    }))
}
