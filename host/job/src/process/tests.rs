use super::*;

fn command(argv: &[&str]) -> Command {
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    Command {
        argv,
        environment: Vec::new(),
        stdin: None,
        descriptors: Vec::new(),
        timeout: 10,
    }
}

fn start(command: &Command) -> Result<Output, ProcessError> {
    run(command, &Places::default(), &Arc::default())
}

#[test]
fn output_and_exit_code_come_back() {
    let output = start(&command(&["sh", "-c", "echo out; echo err >&2; exit 3"])).unwrap();
    assert_eq!(
        (output.code, &output.stdout[..], &output.stderr[..]),
        (3, &b"out\n"[..], &b"err\n"[..])
    );
}

#[test]
fn stdin_reaches_the_command_with_its_secrets() {
    let mut cat = command(&["cat"]);
    cat.stdin = Some(vec![
        Fragment::Plain("a{{".into()),
        Fragment::Secret("{b}".into()),
    ]);
    assert_eq!(start(&cat).unwrap().stdout, b"a{{b}");
}

#[test]
fn the_environment_is_clean() {
    let output = start(&command(&["env"])).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.lines().all(|line| PASSED_ON
            .iter()
            .any(|name| line.starts_with(&format!("{name}=")))),
        "{text}"
    );
}

#[test]
fn a_command_that_runs_too_long_is_ended_with_its_children() {
    let mut slow = command(&["sh", "-c", "sleep 600 & sleep 600"]);
    slow.timeout = 1;
    let begun = Instant::now();
    assert!(matches!(
        start(&slow),
        Err(ProcessError::Timeout { seconds: 1, .. })
    ));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_daemon_that_keeps_the_pipe_open_does_not_hold_the_job() {
    let begun = Instant::now();
    let output = start(&command(&["sh", "-c", "echo started; sleep 60 &"])).unwrap();
    assert_eq!(output.stdout, b"started\n");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_stream_of_a_failing_command_does_not_end_well() {
    let mut reader = stream(
        &command(&["sh", "-c", "echo part; exit 1"]),
        &Places::default(),
        Supervisor::from(&Arc::default()),
    )
    .unwrap();
    let mut got = Vec::new();
    let error = reader.read_to_end(&mut got).unwrap_err();
    assert_eq!(got, b"part\n");
    assert!(error.to_string().contains("exit code 1"), "{error}");
}

#[test]
fn a_feed_reports_the_commands_own_failure() {
    let failing = command(&["sh", "-c", "echo no >&2; exit 4"]);
    let result: Result<(), ProcessError> = feed(
        &failing,
        &Places::default(),
        Supervisor::from(&Arc::default()),
        |pipe| {
            let chunk = [0; 1 << 16];
            loop {
                let pipe_error = |source| ProcessError::Pipe {
                    program: "sh".into(),
                    source,
                };
                pipe.write_all(&chunk).map_err(pipe_error)?;
            }
        },
    );
    assert!(
        matches!(result, Err(ProcessError::Failed { code: 4, .. })),
        "{result:?}"
    );
}

#[test]
fn an_absent_program_is_named() {
    let error = start(&command(&["copal-no-such-program"])).unwrap_err();
    assert!(error.to_string().contains("copal-no-such-program"));
}

/// A command that reads these contents from descriptors.
fn reading(argv: &[&str], contents: &[&str]) -> Command {
    let secret = |text: &&str| vec![Fragment::Secret((*text).to_owned())];
    Command {
        descriptors: contents.iter().map(secret).collect(),
        ..command(argv)
    }
}

#[test]
fn descriptors_reach_the_command_at_the_paths_that_stand_for_them() {
    let large = "x".repeat(200_000);
    let argv = [
        "sh",
        "-c",
        r#"cat "$2" "$1"; wc -c < "$2""#,
        "sh",
        "{fd:0}",
        "{fd:1}",
    ];
    let output = start(&reading(&argv, &["{a}", &large])).unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout, format!("{large}{{a}}200000\n"));
}

#[test]
fn a_descriptor_is_a_regular_file_that_nobody_else_reads_or_writes() {
    let script =
        r#"stat -L -c '%F %a' "$1"; ! sh -c 'echo y > "$1"' sh "$1" 2>/dev/null && cat "$1""#;
    let output = start(&reading(
        &["sh", "-c", script, "sh", "{fd:0}"],
        &["hunter2"],
    ))
    .unwrap();
    assert_eq!(output.stdout, b"regular file 400\nhunter2");
}

#[test]
fn a_descriptor_can_stand_in_a_variable_and_in_the_input() {
    let mut both = reading(
        &["sh", "-c", r#"read path; cat "$path" "$FILE""#],
        &["a", "b"],
    );
    both.stdin = Some(vec![Fragment::Plain("{fd:0}\n".into())]);
    both.environment.push(copal_sandbox::types::Variable {
        name: "FILE".into(),
        value: vec![Fragment::Plain("{fd:1}".into())],
    });
    assert_eq!(start(&both).unwrap().stdout, b"ab");
}

#[test]
fn no_other_command_that_runs_meanwhile_has_the_descriptor() {
    let open = || {
        start(&command(&["sh", "-c", "ls -l /proc/self/fd"]))
            .unwrap()
            .stdout
    };
    let own = start(&reading(
        &["sh", "-c", "ls -l /proc/self/fd", "sh", "{fd:0}"],
        &["x"],
    ));
    assert!(String::from_utf8_lossy(&own.unwrap().stdout).contains("memfd:copal"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    start(&reading(&["cat", "{fd:0}"], &["hunter2"])).unwrap();
                }
            });
        }
        for _ in 0..20 {
            let others = open();
            let others = String::from_utf8_lossy(&others);
            assert!(!others.contains("memfd"), "{others}");
        }
    });
    let left = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let left = left.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    assert!(
        !left
            .into_iter()
            .any(|path| path.to_string_lossy().contains("memfd:copal"))
    );
}

#[test]
fn what_a_command_repeats_of_its_secrets_is_hidden() {
    let mut echoing = reading(
        &[
            "sh",
            "-c",
            r#"cat "$1" - >&2; echo "$WORD" >&2; exit 1"#,
            "sh",
            "{fd:0}",
        ],
        &["hunter2"],
    );
    echoing.stdin = Some(vec![Fragment::Secret("hunter3".into())]);
    echoing.environment.push(copal_sandbox::types::Variable {
        name: "WORD".into(),
        value: vec![Fragment::Secret("hunter4".into())],
    });
    let error = run_checked(&echoing, &Places::default(), &Arc::default()).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("***") && !said.contains("hunter"), "{said}");
}
