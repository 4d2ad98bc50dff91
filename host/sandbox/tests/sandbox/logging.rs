//! Where a plugin's messages go.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use copal_sandbox::types::Direction;
use tracing::subscriber::with_default;

use crate::guest::{ECHO, Guest, file};

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged meanwhile.
fn logged(act: impl FnOnce()) -> String {
    let kept = Kept::default();
    let writer = kept.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    with_default(subscriber, act);
    let log = kept.0.lock().unwrap();
    String::from_utf8(log.clone()).unwrap()
}

#[test]
fn messages_land_in_the_log_under_the_plugins_name_without_escapes() {
    let guest = Guest {
        imports: r#"
            (import "copal:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
            (import "copal:plugin/log@0.1.0" "enabled" (func $enabled (param i32) (result i32)))"#,
        helpers: r#"(data (i32.const 100) "\1b[31mH2 is \00open")"#,
        // Logged as a warning; `debug` must not be enabled, and `info` must be.
        bodies: vec![(
            "pass.start",
            "(call $log (i32.const 3) (i32.const 100) (i32.const 16))
             (if (call $enabled (i32.const 1)) (then unreachable))
             (if (i32.eqz (call $enabled (i32.const 2))) (then unreachable))
             (i64.store (i32.const 2048) (i64.const 0)) (i32.const 2048)",
        )],
        ..Guest::default()
    };
    let plugin = guest.load();
    let name = plugin.describe().unwrap().name.clone();
    // The handle 0 that it answers is none of its own, so the call fails, after the message.
    let log = logged(|| drop(plugin.start_pass(Direction::Backup, &[]).err().unwrap()));
    assert_eq!(name, "test/guest");
    assert_eq!(log, " WARN plugin: H2 is open plugin=\"test/guest\"\n");
}

/// Logs so many of the bytes at 100 as a warning, with each push of its filter.
fn talkative(text: &'static str, size: u32) -> Guest {
    let mut bodies = ECHO.to_vec();
    let push = bodies[2].1;
    let push = format!("(call $log (i32.const 3) (i32.const 100) (i32.const {size})) {push}");
    bodies[2].1 = push.leak();
    Guest {
        imports: r#"(import "copal:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        helpers: text,
        bodies,
        ..Guest::default()
    }
}

#[test]
fn a_message_is_one_line_of_the_log() {
    let text = r#"(data (i32.const 100) "a\n ERROR copal: forged\r\n\t")"#;
    let mut pass = talkative(text, 25)
        .load()
        .start_pass(Direction::Backup, &[])
        .unwrap();
    pass.open("home", &file("a")).unwrap();
    let log = logged(|| drop(pass.push(b"x").unwrap()));
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(
        log.contains(r" WARN plugin: a\n ERROR copal: forged\n\t plugin="),
        "{log}"
    );
}

#[test]
fn a_pass_that_logs_with_each_call_fills_no_disk() {
    let mut pass = talkative("", 400)
        .load()
        .start_pass(Direction::Backup, &[])
        .unwrap();
    let log = logged(|| {
        for _ in 0..100 {
            pass.open("home", &file("a")).unwrap();
            for _ in 0..200 {
                pass.push(b"x").unwrap();
            }
        }
    });
    // Nothing stands at 100: the messages are NULs, which are left out.
    let said = log
        .lines()
        .filter(|line| !line.contains("is left out"))
        .count();
    assert_eq!(said, 10_000);
    assert_eq!(log.lines().count(), 10_001);
}
