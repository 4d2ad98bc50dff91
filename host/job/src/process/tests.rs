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
        &Arc::default(),
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
    let result: Result<(), ProcessError> =
        feed(&failing, &Places::default(), &Arc::default(), |pipe| {
            let chunk = [0; 1 << 16];
            loop {
                let pipe_error = |source| ProcessError::Pipe {
                    program: "sh".into(),
                    source,
                };
                pipe.write_all(&chunk).map_err(pipe_error)?;
            }
        });
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
