//! Archives while they are saved: which, whether they are whole, what they lack.

use std::io::{Cursor, Read, Write};

use copal_plugin_gitlab::GitlabPass;
use copal_sdk::testing::{FakeProbe, MemoryTree, filter_all_chunkings, run_pass};
use copal_sdk::{Direction, Failure, Filter, Finding, Kind, Member, Pass, Tree, Verdict};
use proptest::prelude::*;

use crate::support::*;

fn plan(tree: &MemoryTree, json: &str) -> copal_sdk::BackupPlan {
    backup(tree.clone(), &FakeProbe::new(), json).unwrap()
}

/// The filter of the one archive in a folder, and what its pass says when it is done.
fn inspect(content: &[u8], size: usize) -> Result<(Vec<Member>, Vec<Finding>), Failure> {
    let tree = one(OLD_NAME, content);
    // The plan alone looks at the first member; what is damaged behind it is the filter's to find.
    let state = plan(&one(OLD_NAME, OLD), "{}").state;
    let mut pass = GitlabPass::start(Direction::Backup, serde_json::from_slice(&state).unwrap())?;
    let entry = tree.stat(&file(OLD_NAME))?.unwrap();
    assert_eq!(pass.classify("backups", &entry)?, Verdict::filter());
    let mut filter = pass.open("backups", &entry)?;
    let (mut out, mut members) = (Vec::new(), Vec::new());
    for chunk in content.chunks(size) {
        filter.push(chunk, &mut out)?;
        members.extend(filter.members());
    }
    filter.finish(&mut out)?;
    members.extend(filter.members());
    assert_eq!(out, content, "an archive is saved as it is");
    drop(filter);
    Ok((members, pass.finish()?))
}

/// The archive with each member's content changed by a rule; a rule that returns nothing leaves the member out.
pub(crate) fn remade(content: &[u8], rule: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut archive = tar::Archive::new(content);
    let mut builder = tar::Builder::new(Vec::new());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if let Some(bytes) = rule(&path, bytes) {
            let mut header = entry.header().clone();
            header.set_size(bytes.len() as u64);
            builder
                .append_data(&mut header, &path, Cursor::new(bytes))
                .unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// The archive with one more member before its end.
pub(crate) fn added(content: &[u8], path: &str, bytes: &[u8]) -> Vec<u8> {
    let whole = remade(content, |_, content| Some(content));
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    let mut more = tar::Builder::new(Vec::new());
    more.append_data(&mut header, path, bytes).unwrap();
    [&whole[..whole.len() - 1_024], &more.into_inner().unwrap()].concat()
}

/// A sample whose dump ends as PostgreSQL ends one: those of the samples are one statement.
pub(crate) fn whole(sample: &[u8]) -> Vec<u8> {
    remade(sample, |path, content| match path {
        "db/database.sql.gz" => Some(gzip(
            b"x;\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict k\n",
        )),
        _ => Some(content),
    })
}

/// A folder with both archives, and what should not be saved.
fn folder() -> MemoryTree {
    backups()
        .file(&file(OLD_NAME), whole(OLD))
        .file(&file(NEW_NAME), whole(NEW))
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_newest_archive_is_saved_by_default_and_nothing_else() {
    let tree = folder();
    let newest = plan(&tree, "{}");
    assert!(errors(&newest.findings).is_empty());
    finding(&newest.findings, "gitlab.archives.left-out");
    let (kept, _) = saved(&tree, &newest);
    assert_eq!(kept.paths(), [file(NEW_NAME)]);
    let (kept, _) = saved(&tree, &plan(&tree, r#"{"archives":"all"}"#));
    assert_eq!(kept.paths(), [file(OLD_NAME), file(NEW_NAME)]);
    let (kept, _) = saved(
        &tree,
        &plan(&tree, &format!(r#"{{"archives":["{OLD_NAME}"]}}"#)),
    );
    assert_eq!(kept.paths(), [file(OLD_NAME)]);
}

#[test]
fn a_new_archive_is_made_and_saved_alone() {
    let probe = omnibus("15.1.0");
    let plan = backup(
        one(OLD_NAME, OLD),
        &probe,
        r#"{"create":true,"container":"gl"}"#,
    )
    .unwrap();
    assert_eq!(
        words(&plan.quiesce),
        ["docker exec gl gitlab-backup create"]
    );
    let (kept, _) = saved(&folder(), &plan);
    assert_eq!(kept.paths(), [file(NEW_NAME)]);
    let none = run_pass::<GitlabPass>(&one(OLD_NAME, OLD), Direction::Backup, &plan.state);
    assert_eq!(none.unwrap_err().code, "gitlab.create.none");
}

#[test]
fn an_archive_that_was_not_made_is_missed_also_among_thousands_of_files() {
    let probe = omnibus("15.1.0");
    let plan =
        |tree: MemoryTree| backup(tree, &probe, r#"{"create":true,"container":"gl"}"#).unwrap();
    let state = plan(one(OLD_NAME, OLD)).state;
    let many: Vec<_> = (0..3_000)
        .map(|number| node(&format!("{number}.log"), Kind::File, 0o600, 0, 0))
        .collect();
    let made = node(&file(NEW_NAME), Kind::File, 0o600, 998, 997);
    let finish = |batches: &[&[copal_sdk::Entry]]| {
        let state = serde_json::from_slice(&state).unwrap();
        let mut pass = GitlabPass::start(Direction::Backup, state).unwrap();
        for batch in batches {
            pass.classify_batch("backups", batch).unwrap();
        }
        pass.finish().map_err(|failure| failure.code)
    };
    let (first, rest) = many.split_at(1_024);
    let none = finish(&[first, rest]);
    assert_eq!(none.unwrap_err(), "gitlab.create.none");
    finish(&[first, std::slice::from_ref(&made), rest]).unwrap();
    // A worker that only reads files looks at no folder.
    finish(&[]).unwrap();

    // Of an empty folder no pass is asked.
    let steps = words(&plan(MemoryTree::new("backups")).quiesce);
    assert_eq!(
        steps[1],
        "grep -rqF --include=*_gitlab_backup.tar backup_information.yml {root:backups}"
    );
}

#[test]
fn a_folder_without_archives_is_refused() {
    let plan = plan(&MemoryTree::new("backups").file("x.tar", ""), "{}");
    assert_eq!(errors(&plan.findings), ["gitlab.archives.none"]);
    let plan = backup(
        crate::volume::sameersbn_volume(),
        &FakeProbe::new(),
        r#"{"create":true,"stopped":true}"#,
    );
    assert_eq!(errors(&plan.unwrap().findings), ["gitlab.create.where"]);
}

#[test]
fn members_are_handed_to_the_host_where_their_content_lies() {
    for (content, count) in [(whole(OLD), 8), (whole(NEW), 11)] {
        let (members, _) = inspect(&content, 1_000).unwrap();
        assert_eq!(members.len(), count);
        let mut archive = tar::Archive::new(&content[..]);
        let files = archive.entries().unwrap().map(Result::unwrap);
        let files = files.filter(|entry| entry.header().entry_type().is_file());
        for (member, file) in members.iter().zip(files) {
            assert_eq!(member.path.as_bytes(), file.path_bytes().as_ref());
            assert_eq!(
                (member.offset, member.length),
                (file.raw_file_position(), file.size())
            );
        }
    }
}

#[test]
fn what_an_archive_lacks_is_named_by_its_version() {
    let (_, findings) = inspect(&whole(OLD), 4_096).unwrap();
    assert!(warnings(&findings).is_empty());
    let (_, findings) = inspect(&whole(NEW), 4_096).unwrap();
    assert_eq!(warnings(&findings), ["gitlab.archive.missing"]);
    let message = &finding(&findings, "gitlab.archive.missing").message;
    assert!(
        message.contains("terraform_state.tar.gz, packages.tar.gz"),
        "{message}"
    );

    let without = remade(&whole(OLD), |path, content| match path {
        "uploads.tar.gz" | "artifacts.tar.gz" => None,
        "backup_information.yml" => Some(b":gitlab_version: 13.0.6\n:skipped: uploads\n".to_vec()),
        _ => Some(content),
    });
    let (_, findings) = inspect(&without, 4_096).unwrap();
    assert_eq!(warnings(&findings), ["gitlab.archive.missing"]);
    assert!(
        finding(&findings, "gitlab.archive.missing")
            .message
            .contains("lacks artifacts.tar.gz,")
    );
    assert!(
        finding(&findings, "gitlab.archive.skipped")
            .message
            .contains("uploads")
    );
}

#[test]
fn an_archive_without_a_whole_database_and_all_repositories_fails() {
    let fails = |archive: &[u8], code: &str, named: &str| {
        let failure = inspect(archive, 4_096).unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.message.contains(named), "{failure}");
    };
    let without = |folder: &str| {
        remade(&whole(OLD), |path, content| {
            (!path.starts_with(folder)).then_some(content)
        })
    };
    fails(
        &without("db"),
        "gitlab.archive.missing",
        "lacks db/database.sql.gz,",
    );
    fails(
        &without("repositories"),
        "gitlab.archive.missing",
        "lacks repositories,",
    );
    let endless = remade(&whole(OLD), |path, content| match path {
        "db/database.sql.gz" => Some(gzip(b"CREATE TABLE users (id integer);\n")),
        _ => Some(content),
    });
    fails(
        &endless,
        "gitlab.archive.database",
        "1 of the dumps do not end as PostgreSQL ends one",
    );
    let broken = remade(&whole(OLD), |path, content| {
        match path.ends_with(".bundle") {
            true => Some(b"fatal: not a git repository".to_vec()),
            false => Some(content),
        }
    });
    fails(
        &broken,
        "gitlab.archive.bundle",
        "repositories/@hashed/4e/07/",
    );
}

#[test]
fn of_many_faulty_members_the_first_are_named() {
    let mut archive = whole(OLD);
    for number in 0..30 {
        archive = added(&archive, &format!("db/{number}.sql.gz"), &gzip(b"cut off"));
    }
    let failure = inspect(&archive, 4_096).unwrap_err();
    assert!(failure.message.starts_with("30 of the dumps"), "{failure}");
    assert_eq!(failure.message.matches(".sql.gz").count(), 10, "{failure}");
}

#[test]
fn an_archive_that_is_damaged_anywhere_fails() {
    let truncated = &OLD[..9_000];
    assert_eq!(
        inspect(truncated, 512).unwrap_err().code,
        "sdk.tar.truncated"
    );

    let nested = remade(OLD, |path, mut content| {
        if path == "uploads.tar.gz" {
            let last = content.len() - 6;
            content[last] ^= 1;
        }
        Some(content)
    });
    let failure = inspect(&nested, 512).unwrap_err();
    assert_eq!(failure.code, "sdk.gzip.damaged");
    assert!(failure.message.starts_with("uploads.tar.gz: "), "{failure}");

    let within = remade(OLD, |path, content| match path {
        "uploads.tar.gz" => Some(gzip(&[0; 300])),
        _ => Some(content),
    });
    let failure = inspect(&within, 512).unwrap_err();
    assert_eq!(failure.code, "sdk.tar.truncated");

    let hooks = added(OLD, "repositories/a.custom_hooks.tar", &[0; 512]);
    let failure = inspect(&hooks, 512).unwrap_err();
    assert_eq!(failure.code, "sdk.tar.truncated");
    assert!(
        failure
            .message
            .starts_with("repositories/a.custom_hooks.tar: ")
    );

    let nothing = remade(OLD, |path, content| {
        (path != "backup_information.yml").then_some(content)
    });
    assert_eq!(
        inspect(&nothing, 512).unwrap_err().code,
        "gitlab.archive.information"
    );
}

#[test]
fn an_archive_whose_beginning_is_damaged_is_refused_before_it_is_read() {
    let plan = plan(&one(OLD_NAME, b"not an archive"), "{}");
    assert_eq!(errors(&plan.findings), ["gitlab.archive.damaged"]);
}

#[test]
fn secrets_are_recorded_by_check_values_alone() {
    let plan = backup(
        one(OLD_NAME, OLD),
        &omnibus("13.0.6"),
        r#"{"container":"gl"}"#,
    )
    .unwrap();
    let fact = plan
        .facts
        .iter()
        .find(|fact| fact.name == "secrets")
        .unwrap();
    let values: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&fact.value).unwrap();
    assert_eq!(
        values.keys().collect::<Vec<_>>(),
        ["db_key_base", "otp_key_base"]
    );
    assert!(!format!("{plan:?}").contains("hush"));
    finding(&plan.findings, "gitlab.secrets.not-saved");
}

#[test]
fn the_configuration_is_saved_where_it_is_given() {
    let config = MemoryTree::new("config")
        .file("gitlab.rb", "external_url 'x'")
        .file(
            "gitlab-secrets.json",
            r#"{"gitlab_rails":{"db_key_base":"hush"}}"#,
        );
    let roots: copal_sdk::Trees = [one(OLD_NAME, OLD), config.clone()].into_iter().collect();
    let plan = backup(roots, &FakeProbe::new(), "{}").unwrap();
    assert_eq!(plan.sources.len(), 2);
    finding(&plan.findings, "gitlab.secrets.saved");
    assert_eq!(saved(&config, &plan).0, config);
}

/// Reads the filter for [`filter_all_chunkings`], which pushes without a pass.
fn filter() -> Box<dyn Filter> {
    let tree = one(OLD_NAME, OLD);
    let state = plan(&tree, "{}").state;
    let mut pass =
        GitlabPass::start(Direction::Backup, serde_json::from_slice(&state).unwrap()).unwrap();
    let entry = tree.stat(&file(OLD_NAME)).unwrap().unwrap();
    pass.open("backups", &entry).unwrap()
}

#[test]
fn an_archive_is_saved_as_it_is_however_it_is_cut() {
    // Without its padding it is short enough for every cut.
    let short = &OLD[..OLD.len().min(11_264)];
    let skipped = b":gitlab_version: 13.0.6\n:skipped: repositories\n";
    let archive = remade(&whole(OLD), |path, content| match path {
        "backup_information.yml" => Some(skipped.to_vec()),
        "uploads.tar.gz" | "db/database.sql.gz" => Some(content),
        _ => None,
    });
    assert_eq!(filter_all_chunkings(filter, &archive).unwrap(), archive);
    assert!(filter_all_chunkings(filter, &short[..3_000]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_archives_never_panic(at: prop::sample::Index, bytes in proptest::collection::vec(any::<u8>(), 1..600), size in 1_usize..4_096) {
        let mut content = NEW.to_vec();
        let at = at.index(content.len());
        let end = content.len().min(at + bytes.len());
        content[at..end].copy_from_slice(&bytes[..end - at]);
        let _ = inspect(&content, size);
    }
}
