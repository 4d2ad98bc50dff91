//! A plugin that imports WASI runs, and is given nothing.

use crate::guest::Guest;
use copal_sandbox::Error;

/// The parts of WASI 0.2 that these guests import.
const PACKAGES: &str = "
    package wasi:io@0.2.0 {
        interface poll { resource pollable { block: func(); } }
        interface error { resource error; }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
        }
    }
    package wasi:clocks@0.2.0 {
        interface monotonic-clock {
            use wasi:io/poll@0.2.0.{pollable};
            now: func() -> u64;
            subscribe-duration: func(when: u64) -> pollable;
        }
        interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
    }
    package wasi:random@0.2.0 {
        interface random { get-random-u64: func() -> u64; }
        interface insecure { get-insecure-random-u64: func() -> u64; }
        interface insecure-seed { insecure-seed: func() -> tuple<u64, u64>; }
    }
    package wasi:filesystem@0.2.0 {
        interface types { resource descriptor; }
        interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
    }
    package wasi:sockets@0.2.0 {
        interface network {
            resource network;
            enum error-code { unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, concurrency-conflict,
                not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, address-in-use, remote-unreachable,
                connection-refused, connection-reset, connection-aborted, datagram-too-large, name-unresolvable,
                temporary-resolver-failure, permanent-resolver-failure }
        }
        interface instance-network { use network.{network}; instance-network: func() -> network; }
        interface ip-name-lookup {
            use network.{network, error-code};
            resource resolve-address-stream;
            resolve-addresses: func(network: borrow<network>, name: string) -> result<resolve-address-stream, error-code>;
        }
    }
    package wasi:cli@0.2.0 {
        interface environment {
            get-environment: func() -> list<tuple<string, string>>;
            get-arguments: func() -> list<string>;
        }
        interface stderr { use wasi:io/streams@0.2.0.{output-stream}; get-stderr: func() -> output-stream; }
        interface exit { exit: func(status: result); }
    }";

fn guest(
    world: &'static str,
    imports: &'static str,
    helpers: &'static str,
    describe: &'static str,
) -> Guest {
    Guest {
        packages: PACKAGES,
        world,
        imports,
        helpers,
        bodies: vec![("describe", describe)],
    }
}

#[test]
fn it_sees_no_directory_no_variable_and_no_argument() {
    let guest = guest(
        "import wasi:filesystem/preopens@0.2.0; import wasi:cli/environment@0.2.0;",
        r#"(import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))
           (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
           (import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))"#,
        "(func $must_be_empty (if (i32.load (i32.const 3004)) (then unreachable)))",
        "(call $directories (i32.const 3000)) (call $must_be_empty)
         (call $environment (i32.const 3000)) (call $must_be_empty)
         (call $arguments (i32.const 3000)) (call $must_be_empty)
         (i32.const 1024)",
    );
    let plugin = guest.load();
    assert!(
        plugin
            .imports()
            .iter()
            .any(|import| import == "wasi:filesystem/preopens@0.2.0")
    );
    assert_eq!(plugin.describe().unwrap().name, "test/guest");
}

#[test]
fn it_resolves_no_host_names() {
    let guest = guest(
        "import wasi:sockets/instance-network@0.2.0; import wasi:sockets/ip-name-lookup@0.2.0;",
        r#"(import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $network (result i32)))
           (import "wasi:sockets/ip-name-lookup@0.2.0" "resolve-addresses" (func $resolve (param i32 i32 i32 i32)))"#,
        r#"(data (i32.const 100) "localhost")"#,
        // Must be an error.
        "(call $resolve (call $network) (i32.const 100) (i32.const 9) (i32.const 3000))
         (if (i32.ne (i32.load8_u (i32.const 3000)) (i32.const 1)) (then unreachable))
         (i32.const 1024)",
    );
    assert_eq!(guest.load().describe().unwrap().name, "test/guest");
}

#[test]
fn sleeping_counts_as_its_own_time() {
    let guest = guest(
        "import wasi:clocks/monotonic-clock@0.2.0;",
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $subscribe (param i64) (result i32)))
           (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#,
        "",
        "(call $block (call $subscribe (i64.const 3600000000000))) (i32.const 1024)",
    );
    let error = guest.load().describe().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Deadline {
                call: "describe",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn clocks_and_random_numbers_are_the_same_in_every_instance() {
    // The version that it tells is made of six numbers.
    let guest = guest(
        "import wasi:clocks/monotonic-clock@0.2.0; import wasi:clocks/wall-clock@0.2.0; import wasi:random/random@0.2.0;
         import wasi:random/insecure@0.2.0; import wasi:random/insecure-seed@0.2.0;",
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
           (import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
           (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
           (import "wasi:random/insecure@0.2.0" "get-insecure-random-u64" (func $insecure (result i64)))
           (import "wasi:random/insecure-seed@0.2.0" "insecure-seed" (func $seed (param i32)))"#,
        // Appends an `x` and the digits of a number to base 16, the lowest first, from `a` on.
        r#"(data (i32.const 200) "0.0.0-")
           (global $at (mut i32) (i32.const 206))
           (func $tell (param i64)
               (i32.store8 (global.get $at) (i32.const 120))
               (global.set $at (i32.add (global.get $at) (i32.const 1)))
               (loop
                   (i32.store8 (global.get $at) (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get 0) (i64.const 15)))))
                   (local.set 0 (i64.shr_u (local.get 0) (i64.const 4)))
                   (global.set $at (i32.add (global.get $at) (i32.const 1)))
                   (br_if 0 (i64.ne (local.get 0) (i64.const 0)))))"#,
        "(call $tell (call $now)) (call $tell (call $now))
         (call $wall (i32.const 3000)) (call $tell (i64.load (i32.const 3000)))
         (call $tell (i64.and (i64.const 0xffffff) (call $random))) (call $tell (i64.and (i64.const 0xffffff) (call $insecure)))
         (call $seed (i32.const 3000)) (call $tell (i64.and (i64.const 0xffffff) (i64.load (i32.const 3000))))
         (i32.store (i32.const 1032) (i32.const 200)) (i32.store (i32.const 1036) (i32.sub (global.get $at) (i32.const 200)))
         (i32.const 1024)",
    );
    let told = || guest.load().describe().unwrap().version.clone();
    let version = told();
    assert_eq!(told(), version);
    let numbers: Vec<_> = version.split('x').collect();
    // The monotonic clock moves on by a million nanoseconds with each look, and the other stands at 0.
    assert_eq!(numbers[1..4], ["a", "aecep", "a"], "{version}");
}

#[test]
fn a_sleep_moves_the_clock_on() {
    let guest = guest(
        "import wasi:clocks/monotonic-clock@0.2.0;",
        r#"(import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
           (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $subscribe (param i64) (result i32)))
           (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#,
        "",
        "(call $block (call $subscribe (i64.const 100000000)))
         (if (i64.lt_u (call $now) (i64.const 100000000)) (then unreachable))
         (i32.const 1024)",
    );
    assert_eq!(guest.load().describe().unwrap().name, "test/guest");
}

const STDERR: &str = r#"
    (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))"#;

#[test]
fn what_it_prints_before_a_crash_explains_it() {
    let guest = guest(
        "import wasi:cli/stderr@0.2.0;",
        STDERR,
        r#"(data (i32.const 100) "Traceback\nKeyError: \1b[1m'home'\n")"#,
        "(call $write (call $stderr) (i32.const 100) (i32.const 31) (i32.const 3000)) unreachable",
    );
    let error = guest.load().describe().unwrap_err();
    assert!(
        matches!(&error, Error::Trap { message, .. } if message.starts_with("Traceback\nKeyError: 'home'")),
        "{error}"
    );
}

#[test]
fn ending_itself_is_a_crash_that_says_so() {
    let guest = guest(
        "import wasi:cli/exit@0.2.0;",
        r#"(import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))"#,
        "",
        "(call $exit (i32.const 1)) unreachable",
    );
    let error = guest.load().describe().unwrap_err();
    assert!(
        matches!(&error, Error::Trap { message, .. } if message.contains("exit code 1")),
        "{error}"
    );
}
