//! Where a plugin's messages go.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use copal_sandbox::types::Direction;
use tracing::subscriber::with_default;

use crate::guest::Guest;

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
    let kept = Kept::default();
    let writer = kept.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    // The handle 0 that it answers is none of its own, so the call fails, after the message.
    with_default(subscriber, || {
        plugin.start_pass(Direction::Backup, &[]).err().unwrap()
    });
    let log = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert_eq!(name, "test/guest");
    assert_eq!(log, " WARN plugin: H2 is open plugin=\"test/guest\"\n");
}
