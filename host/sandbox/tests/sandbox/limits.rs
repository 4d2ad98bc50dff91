//! Each way in which a plugin can misbehave ends in its own error.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::guest::{ECHO, Guest, engine, file, no_probe, with_instances};
use copal_sandbox::types::{
    BackupRequest, Command, Direction, Entry, Failure, FailureKind, Member, Output, Timestamp,
};
use copal_sandbox::{Error, Plugin, Probe, Tree};

fn plan(plugin: &Plugin) -> Result<copal_sandbox::types::BackupPlan, Error> {
    let request = BackupRequest {
        config: "{}".to_owned(),
        now: Timestamp::default(),
    };
    plugin.plan_backup(vec![], no_probe(), request)
}

fn describe_error(body: &'static str) -> Error {
    Guest::new(&[("describe", body)])
        .load()
        .describe()
        .unwrap_err()
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let began = Instant::now();
    let error = describe_error("(loop (br 0)) unreachable");
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
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_endless_start_function_ends_at_the_deadline_of_the_call() {
    let guest = Guest {
        helpers: "(start $start) (func $start (loop (br 0)))",
        ..Guest::default()
    };
    assert!(matches!(
        guest.load().describe().unwrap_err(),
        Error::Deadline { .. }
    ));
}

#[test]
fn eating_memory_until_it_is_refused_is_told_from_a_crash() {
    let error = describe_error(
        "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
    );
    assert!(
        matches!(error, Error::Memory { call: "describe", limit } if limit == 32 << 20),
        "{error}"
    );
}

#[test]
fn a_plugin_that_begins_with_too_much_memory_is_refused() {
    let guest = Guest {
        helpers: "(table 2000000 funcref)",
        ..Guest::default()
    };
    assert!(matches!(
        guest.load().describe().unwrap_err(),
        Error::Memory { .. }
    ));
}

#[test]
fn what_many_instances_take_of_the_host_is_memory_too() {
    let component = Guest::default().component();
    let load = |instances, globals| {
        let component = with_instances(&component, instances, globals);
        engine().load(&component).unwrap()
    };
    // Each global counts as 64 bytes, and of all instances, the plugin's own among them, each as much as the largest.
    for (instances, globals, fits) in [
        (1, 100, true),
        (50, 100, true),
        (1, 100_000, true),
        (4, 200_000, false),
        (50, 1_000_000, false),
    ] {
        let plugin = load(instances, globals);
        let began = Instant::now();
        match plugin.describe() {
            Ok(description) => {
                assert!(fits, "{instances} with {globals}");
                assert_eq!(description.name, "test/guest");
            }
            Err(error) => {
                assert!(!fits, "{instances} with {globals}: {error}");
                assert!(
                    matches!(error, Error::Memory { call: "describe", limit } if limit == 32 << 20),
                    "{error}"
                );
                assert!(began.elapsed() < Duration::from_secs(1));
            }
        }
    }
}

#[test]
fn more_instances_than_any_plugin_needs_are_refused_and_nothing_else_is_said_of_them() {
    let component = with_instances(&Guest::default().component(), 100, 1);
    let error = engine().load(&component).unwrap().describe().unwrap_err();
    assert!(
        matches!(&error, Error::Incompatible(why) if why.contains("instance count too high")),
        "{error}"
    );
}

#[test]
fn a_crash_carries_the_last_error_that_was_logged() {
    let guest = Guest {
        imports: r#"(import "copal:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#,
        helpers: r#"(data (i32.const 100) "panicked at lib.rs:7: \1b[31mno root")"#,
        bodies: vec![(
            "describe",
            "(call $log (i32.const 4) (i32.const 100) (i32.const 34)) unreachable",
        )],
        ..Guest::default()
    };
    let error = guest.load().describe().unwrap_err();
    assert!(
        matches!(&error, Error::Trap { call: "describe", message } if message.starts_with("panicked at lib.rs:7: no root")),
        "{error}"
    );
}

#[test]
fn endless_recursion_is_a_crash_that_says_so() {
    let guest = Guest {
        helpers: "(func $down (param i32) (result i32) (i32.add (i32.const 1) (call $down (local.get 0))))",
        bodies: vec![("describe", "(call $down (i32.const 0))")],
        ..Guest::default()
    };
    let error = guest.load().describe().unwrap_err();
    assert!(
        matches!(&error, Error::Trap { message, .. } if message.contains("out of stack")),
        "{error}"
    );
}

/// A `result` with a failure whose texts are those of the description.
const FAILURE: &str = "
    (i64.store (i32.const 2048) (i64.const 1))
    (i32.store (i32.const 2056) (i32.const 0)) (i32.store (i32.const 2060) (i32.const 4))
    (i32.store (i32.const 2064) (i32.const 0)) (i32.store (i32.const 2068) (i32.const 10))
    (i32.store (i32.const 2072) (i32.const 0))
    (i32.store8 (i32.const 2052) (i32.const 3))
    (i32.const 2048)";

#[test]
fn a_failure_is_the_plugins_own_answer() {
    let error = plan(&Guest::new(&[("plan-backup", FAILURE)]).load()).unwrap_err();
    let Error::Guest(failure) = error else {
        panic!("{error}")
    };
    assert_eq!(failure.kind, FailureKind::Missing);
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("test", "test/guest")
    );
}

/// A plan with nothing in it but `length` bytes of state.
fn plan_with_state(length: &str) -> String {
    format!(
        "(memory.fill (i32.const 2048) (i32.const 0) (i32.const 64))
         (drop (memory.grow (i32.const 400)))
         (i32.store (i32.const 2084) (i32.const 4096)) (i32.store (i32.const 2088) (i32.const {length}))
         (i32.const 2048)"
    )
}

#[test]
fn an_answer_that_is_too_large_names_the_rule() {
    for (length, rule) in [
        ("1048577", "a state of 1048577 bytes, at most 1048576"),
        ("20000000", "at most 16 MiB may be passed at once"),
    ] {
        let body: &'static str = plan_with_state(length).leak();
        let error = plan(&Guest::new(&[("plan-backup", body)]).load()).unwrap_err();
        assert!(
            matches!(&error, Error::Contract { call: "plan-backup", rule: broken } if broken.contains(rule)),
            "{error}"
        );
    }
    let body: &'static str = plan_with_state("1048576").leak();
    assert_eq!(
        plan(&Guest::new(&[("plan-backup", body)]).load())
            .unwrap()
            .state
            .len(),
        1 << 20
    );
}

#[test]
fn an_answer_that_is_no_text_breaks_the_contract() {
    let error = describe_error("(i32.store8 (i32.const 3) (i32.const 0xff)) (i32.const 1024)");
    assert!(matches!(&error, Error::Contract { .. }), "{error}");
    let error =
        describe_error("(i32.store (i32.const 1028) (i32.const 0x7fffffff)) (i32.const 1024)");
    assert!(matches!(&error, Error::Contract { .. }), "{error}");
}

/// A root that takes its time, and says nothing.
struct Slow;

impl Tree for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn location(&self) -> &str {
        "/slow"
    }

    fn stat(&self, _: &str) -> Result<Option<Entry>, Failure> {
        thread::sleep(Duration::from_millis(1500));
        Ok(None)
    }

    fn list(&self, _: &str) -> Result<Vec<Entry>, Failure> {
        Ok(vec![])
    }

    fn read(&self, _: &str, _: u64, length: u32) -> Result<Vec<u8>, Failure> {
        Ok(vec![0; length as usize])
    }
}

const TREE: &str = r#"
    (import "copal:plugin/tree@0.1.0" "[method]tree.stat" (func $stat (param i32 i32 i32 i32)))
    (import "copal:plugin/tree@0.1.0" "[method]tree.read" (func $read (param i32 i32 i32 i64 i32 i32)))
"#;

fn detect(body: &'static str) -> Result<Option<copal_sandbox::types::Detection>, Error> {
    let guest = Guest {
        imports: TREE,
        bodies: vec![("detect", body)],
        ..Guest::default()
    };
    guest.load().detect(Arc::new(Slow), no_probe())
}

const NONE: &str = "(i64.store (i32.const 2048) (i64.const 0)) (i32.const 2048)";

#[test]
fn time_in_the_host_is_not_the_plugins() {
    let body: &'static str =
        format!("(call $stat (local.get 0) (i32.const 0) (i32.const 0) (i32.const 3000)) {NONE}")
            .leak();
    assert_eq!(detect(body).unwrap(), None);
}

#[test]
fn a_loop_after_a_slow_host_call_still_ends() {
    let error = detect("(call $stat (local.get 0) (i32.const 0) (i32.const 0) (i32.const 3000)) (loop (br 0)) unreachable").unwrap_err();
    assert!(
        matches!(error, Error::Deadline { call: "detect", .. }),
        "{error}"
    );
}

#[test]
fn reading_too_much_at_once_breaks_the_contract() {
    let error = detect("(call $read (local.get 0) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 4194305) (i32.const 3000)) unreachable").unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Contract {
                call: "tree.read",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_path_out_of_the_tree_is_denied_before_the_tree_is_asked() {
    // The path is `..`; what comes back is handed on as the failure of `detect`.
    let guest = Guest {
        imports: TREE,
        helpers: r#"(data (i32.const 100) "conf/../..")"#,
        bodies: vec![(
            "detect",
            "(call $read (local.get 0) (i32.const 100) (i32.const 10) (i64.const 0) (i32.const 1) (i32.const 3000)) (i32.const 3000)",
        )],
        ..Guest::default()
    };
    let error = guest.load().detect(Arc::new(Slow), no_probe()).unwrap_err();
    assert!(
        matches!(&error, Error::Guest(failure) if failure.kind == FailureKind::Denied),
        "{error}"
    );
}

/// Answers after longer than a call may take.
struct SlowProbe;

impl Probe for SlowProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        thread::sleep(Duration::from_millis(1500));
        Err(Failure::new(
            FailureKind::Denied,
            "test.denied",
            command.argv.join(" "),
        ))
    }
}

const PROCESS: &str = r#"(import "copal:plugin/process@0.1.0" "run" (func $run (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;

/// A probe of one word, `guest`, given five seconds.
const PROBE: &str = "
    (i32.store (i32.const 2800) (i32.const 5)) (i32.store (i32.const 2804) (i32.const 5))
    (call $run (i32.const 2800) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 5) (i32.const 3000))";

/// Has `describe` declare one capability: the eleven letters at 100.
const DECLARE: &str = "
    (i32.store (i32.const 1068) (i32.const 2900)) (i32.store (i32.const 1072) (i32.const 1))
    (i32.store (i32.const 2900) (i32.const 100)) (i32.store (i32.const 2904) (i32.const 11))
    (i32.store (i32.const 2908) (i32.const 0)) (i32.store (i32.const 2912) (i32.const 4))
    (i32.const 1024)";

/// A plugin that declares `capability`, of eleven letters, and probes once or for ever in `detect`.
fn probing(
    capability: &str,
    detect: &str,
) -> Result<Option<copal_sandbox::types::Detection>, Error> {
    probing_with(capability, detect, SlowProbe)
}

fn probing_with(
    capability: &str,
    detect: &str,
    probe: impl Probe + 'static,
) -> Result<Option<copal_sandbox::types::Detection>, Error> {
    let helpers = format!(r#"(data (i32.const 100) "{capability}")"#).leak();
    let detect: &'static str = format!("{detect} (i32.const 3000)").leak();
    let guest = Guest {
        imports: PROCESS,
        helpers,
        bodies: vec![("describe", DECLARE), ("detect", detect)],
        ..Guest::default()
    };
    let plugin = guest.load();
    plugin.detect(Arc::new(Slow), Arc::new(probe))
}

#[test]
fn a_probe_reaches_the_job_and_its_time_is_not_the_plugins() {
    // The failure of the probe is that of `detect`.
    let error = probing("probe:guest", PROBE).unwrap_err();
    assert!(
        matches!(&error, Error::Guest(failure) if failure.message == "guest"),
        "{error}"
    );
}

#[test]
fn a_probe_that_the_plugin_does_not_declare_ends_the_call_whatever_it_makes_of_the_answer() {
    for capability in ["run:guest *", "probe:other", "run:  guest"] {
        let error = probing(capability, PROBE).unwrap_err();
        assert!(
            matches!(&error, Error::Undeclared { plugin, need } if plugin == "test/guest" && need == "probe:guest"),
            "{error}"
        );
        assert_eq!(error.kind(), "plugin-undeclared");
        assert!(error.to_string().contains("must declare `probe:guest`"));
    }
}

#[test]
fn a_plugin_that_probes_for_ever_ends_though_its_own_time_does_not_pass() {
    let began = Instant::now();
    let body: &'static str = format!("(loop {PROBE} (br 0))").leak();
    let error = probing("probe:guest", body).unwrap_err();
    assert!(
        matches!(error, Error::Looking { call: "detect", limit } if limit.as_secs() == 3),
        "{error}"
    );
    assert_eq!(error.kind(), "plugin-deadline");
    assert!(began.elapsed() < Duration::from_secs(15));
}

/// Takes all the time that a command may take, and at most ten seconds.
struct PatientProbe;

impl Probe for PatientProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        thread::sleep(Duration::from_secs(command.timeout.min(10).into()));
        Err(Failure::new(FailureKind::Unavailable, "test.timeout", ""))
    }
}

#[test]
fn one_probe_takes_no_longer_than_the_host_works_for_a_call() {
    let began = Instant::now();
    let week: &'static str = PROBE
        .replace(
            "(i32.const 5) (i32.const 3000)",
            "(i32.const 604800) (i32.const 3000)",
        )
        .leak();
    let error = probing_with("probe:guest", week, PatientProbe).unwrap_err();
    assert!(
        matches!(error, Error::Looking { call: "detect", limit } if limit.as_secs() == 3),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_plugin_that_reads_for_ever_ends_too() {
    let error = detect("(loop (call $stat (local.get 0) (i32.const 0) (i32.const 0) (i32.const 3000)) (br 0)) unreachable").unwrap_err();
    assert!(
        matches!(error, Error::Looking { call: "detect", .. }),
        "{error}"
    );
}

#[test]
fn a_filter_takes_chunks_of_any_size_and_hands_them_back() {
    let mut pass = Guest::new(&ECHO)
        .load()
        .start_pass(Direction::Backup, b"state")
        .unwrap();
    for size in [0, 1, 65_536, (1 << 20) + 17, 5 << 20] {
        let chunk: Vec<u8> = (0..size).map(|i| i as u8).collect();
        pass.open("home", &file("a")).unwrap();
        assert_eq!(pass.push(&chunk).unwrap(), chunk);
        assert_eq!(pass.finish_filter().unwrap(), b"");
    }
    assert_eq!(pass.finish().unwrap(), []);
}

#[test]
fn a_filter_that_returns_too_much_names_the_rule_and_ends_the_pass() {
    let mut bodies = ECHO.to_vec();
    bodies[2] = (
        "filter.push",
        "(drop (memory.grow (i32.const 300)))
         (i32.store (i32.const 2048) (i32.const 0))
         (i32.store (i32.const 2052) (i32.const 0))
         (i32.store (i32.const 2056) (i32.const 16777217))
         (i32.const 2048)",
    );
    let mut pass = Guest::new(&bodies)
        .load()
        .start_pass(Direction::Backup, &[])
        .unwrap();
    pass.open("home", &file("a")).unwrap();
    for _ in 0..2 {
        let error = pass.push(b"x").unwrap_err();
        assert!(
            matches!(&error, Error::Contract { call: "filter.push", rule } if rule.contains("16777217 bytes at once")),
            "{error}"
        );
    }
    assert!(matches!(
        pass.classify("home", &[file("a")]).unwrap_err(),
        Error::Contract { .. }
    ));
}

#[test]
fn a_filter_names_the_members_that_begin_in_what_it_returned() {
    let mut bodies = ECHO.to_vec();
    // `test/guest`, one byte from the beginning on.
    bodies.push((
        "filter.members",
        "(i32.store (i32.const 2048) (i32.const 2304)) (i32.store (i32.const 2052) (i32.const 1))
         (i32.store (i32.const 2304) (i32.const 0)) (i32.store (i32.const 2308) (i32.const 10))
         (i64.store (i32.const 2312) (i64.const 0)) (i64.store (i32.const 2320) (i64.const 1))
         (i32.const 2048)",
    ));
    let mut pass = Guest::new(&bodies)
        .load()
        .start_pass(Direction::Backup, &[])
        .unwrap();
    let member = Member {
        path: "test/guest".to_owned(),
        offset: 0,
        length: 1,
    };
    for _ in 0..2 {
        pass.open("home", &file("a")).unwrap();
        assert_eq!(pass.push(b"x").unwrap(), b"x");
        assert_eq!(pass.finish_filter().unwrap(), b"");
        assert_eq!(pass.members().unwrap(), std::slice::from_ref(&member));
    }
    let error = pass.members().unwrap_err();
    assert!(
        matches!(&error, Error::Contract { call: "filter.members", rule } if rule.contains("does not begin between 1 and 1")),
        "{error}"
    );
}

#[test]
fn a_failure_of_one_file_leaves_the_pass_usable() {
    let mut bodies = ECHO.to_vec();
    bodies[2] = ("filter.push", FAILURE);
    let mut pass = Guest::new(&bodies)
        .load()
        .start_pass(Direction::Backup, &[])
        .unwrap();
    for _ in 0..3 {
        pass.open("home", &file("a")).unwrap();
        assert!(matches!(pass.push(b"x").unwrap_err(), Error::Guest(_)));
    }
    assert_eq!(pass.finish().unwrap(), []);
}

#[test]
fn verdicts_that_do_not_fit_the_entries_break_the_contract() {
    // No verdicts, then one with the name `test/guest`, which is not a name.
    for body in [
        "(i64.store (i32.const 2048) (i64.const 0)) (i32.store (i32.const 2056) (i32.const 0)) (i32.const 2048)",
        "(memory.fill (i32.const 2048) (i32.const 0) (i32.const 512))
         (i32.store (i32.const 2052) (i32.const 2304)) (i32.store (i32.const 2056) (i32.const 1))
         (i32.store (i32.const 2304) (i32.const 2))
         (i32.store (i32.const 2312) (i32.const 1)) (i32.store (i32.const 2316) (i32.const 0)) (i32.store (i32.const 2320) (i32.const 10))
         (i32.const 2048)",
    ] {
        let mut bodies = ECHO.to_vec();
        bodies.push(("pass.classify", body));
        let mut pass = Guest::new(&bodies).load().start_pass(Direction::Restore, &[]).unwrap();
        let error = pass.classify("home", &[file("a")]).unwrap_err();
        assert!(matches!(&error, Error::Contract { call: "pass.classify", .. }), "{error}");
    }
}

#[test]
fn passes_run_at_the_same_time_on_threads_of_their_own() {
    let plugin = Guest::new(&ECHO).load();
    thread::scope(|scope| {
        for worker in 0..4_u8 {
            let mut pass = plugin.start_pass(Direction::Backup, &[]).unwrap();
            scope.spawn(move || {
                pass.open("home", &file("a")).unwrap();
                assert_eq!(pass.push(&[worker; 70_000]).unwrap(), [worker; 70_000]);
            });
        }
    });
}
