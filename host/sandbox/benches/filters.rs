//! How fast the filters of first-party plugins let bytes through, called as the host calls them. `cargo xtask bench filters` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking and prints its figures"
)]

use std::io::Write;
use std::path::{Path, PathBuf};

use copal_sandbox::types::{Direction, Entry, Kind, Owner, Timestamp};
use copal_sandbox::{Engine, EngineOptions, Plugin};
use rustix::time::{ClockId, clock_gettime};

/// What the host reads at once.
const CHUNK: usize = 1 << 20;
/// Times that a body is repeated within its frame.
const REPEATED: usize = 16;
const RUNS: usize = 5;

/// One filter with what goes through it.
struct Case {
    name: &'static str,
    plugin: &'static str,
    direction: Direction,
    root: &'static str,
    path: &'static str,
    state: &'static str,
    input: Vec<u8>,
}

fn main() {
    let folder = std::env::var_os("COPAL_PLUGINS_DIR").map(PathBuf::from);
    let folder = folder
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"));
    let engine = Engine::new(EngineOptions::default()).unwrap();
    const LOADING: &str = r#"{"buckets":{"renamed":{},"left_out":[],"owner":null},"streams":{"ccdb.sql":
        {"schema":false,"replaced":["stacks"],"left_out":["schema_migrations"],"left_sequences":[]}}}"#;
    const SAVING: &str = r#"{"Backup":{"archives":null,"layout":null,"without_gitaly":false}}"#;
    let sql = |name, input| Case {
        name,
        plugin: "cloudfoundry",
        direction: Direction::Restore,
        root: "streams",
        path: "ccdb.sql",
        state: LOADING,
        input,
    };
    let tar = |name, input| Case {
        name,
        plugin: "gitlab",
        direction: Direction::Backup,
        root: "backups",
        path: "1700000000_2023_11_14_15.1.0_gitlab_backup.tar",
        state: SAVING,
        input,
    };
    let cases = [
        sql("SQL, INSERT of 300-byte rows", inserts(140)),
        sql("SQL, INSERT of 20 kB rows", inserts(20_000)),
        sql("SQL, COPY of 100-byte rows", copied()),
        tar("tar, plain members", archive(false)),
        tar("tar, a nested tar.gz", archive(true)),
    ];
    for case in cases {
        let bytes = std::fs::read(folder.join(format!("{}.wasm", case.plugin))).unwrap();
        let plugin = engine.load(&bytes).unwrap();
        let mut seconds: Vec<f64> = (0..RUNS).map(|_| run(&plugin, &case)).collect();
        seconds.sort_by(f64::total_cmp);
        let megabytes = case.input.len() as f64 / 1e6;
        println!(
            "{:32} {:6.0} MB/s (median of {RUNS}, {megabytes:.0} MB)",
            case.name,
            megabytes / seconds[RUNS / 2]
        );
    }
}

fn run(plugin: &Plugin, case: &Case) -> f64 {
    let mut pass = plugin
        .start_pass(case.direction, case.state.as_bytes())
        .unwrap();
    let entry = Entry {
        path: case.path.to_owned(),
        kind: Kind::File,
        size: case.input.len() as u64,
        mode: 0o600,
        owner: Owner {
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
        },
        modified: Timestamp {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        },
        link_target: None,
    };
    let start = cpu_seconds();
    pass.open(case.root, &entry).unwrap();
    let mut passed = 0;
    for chunk in case.input.chunks(CHUNK) {
        passed += pass.push(chunk).unwrap().len();
        pass.members().unwrap();
    }
    passed += pass.finish_filter().unwrap().len();
    let seconds = cpu_seconds() - start;
    assert!(passed > case.input.len() / 2, "most of it goes through");
    seconds
}

/// What this thread has computed so far: what else the machine does does not count.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

const HEAD: &str =
    "--\n-- PostgreSQL database dump\n--\n\nSET standard_conforming_strings = on;\n\n";
const TAIL: &str = "\n\n--\n-- PostgreSQL database dump complete\n--\n\n";

fn inserts(length: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for number in 0.. {
        let text = "It''s a row; with (marks) and words, and more of the same for a while. "
            .repeat(length / 70);
        writeln!(body, "INSERT INTO public.events (id, guid, created_at, state, metadata) VALUES ({number}, '0e4fa9a5-7f43-4d5c-8f3c-5f0d2f6f5f5e', '2016-03-01 12:00:00', NULL, '{text}');").unwrap();
        if body.len() > 16 << 20 {
            break;
        }
    }
    framed(&body)
}

fn copied() -> Vec<u8> {
    let mut body = b"COPY public.events (id, guid, metadata) FROM stdin;\n".to_vec();
    for number in 0..160_000 {
        writeln!(body, "{number}\t0e4fa9a5-7f43-4d5c-8f3c-5f0d2f6f5f5e\tIt's a row\\nwith words and more words of it").unwrap();
    }
    body.extend(b"\\.\n\n");
    framed(&body)
}

fn framed(body: &[u8]) -> Vec<u8> {
    [HEAD.as_bytes(), &body.repeat(REPEATED), TAIL.as_bytes()].concat()
}

fn archive(nested: bool) -> Vec<u8> {
    const INFORMATION: &str = ":db_version: '1'\n:backup_created_at: 2023-11-14 22:13:20 +0000\n:gitlab_version: 15.1.0\n:tar_version: tar (GNU tar) 1.34\n:skipped: ''\n";
    let mut archive = tar::Builder::new(Vec::new());
    append(
        &mut archive,
        "backup_information.yml",
        INFORMATION.as_bytes(),
    );
    let level = flate2::Compression::fast();
    let mut dump = flate2::write::GzEncoder::new(Vec::new(), level);
    dump.write_all(TAIL.as_bytes()).unwrap();
    append(&mut archive, "db/database.sql.gz", &dump.finish().unwrap());
    append(&mut archive, "repositories/0.bundle", b"# v2 git bundle\n");
    // Like compressed data: nothing in it repeats.
    let mut noise = 1_u64;
    let content: Vec<u8> = (0..8 << 20)
        .map(|_| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            noise.to_be_bytes()[0]
        })
        .collect();
    let bundle = [&b"# v2 git bundle\n"[..], &content].concat();
    for number in 0..REPEATED {
        if nested {
            let mut inner = tar::Builder::new(Vec::new());
            append(&mut inner, "./file", &content);
            let inner = inner.into_inner().unwrap();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
            gzip.write_all(&inner).unwrap();
            append(&mut archive, "uploads.tar.gz", &gzip.finish().unwrap());
            if number == 3 {
                break;
            }
        } else {
            append(
                &mut archive,
                &format!("repositories/@hashed/{number}.bundle"),
                &bundle,
            );
        }
    }
    archive.into_inner().unwrap()
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_cksum();
    archive.append_data(&mut header, path, content).unwrap();
}
