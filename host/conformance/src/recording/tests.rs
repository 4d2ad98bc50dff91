use copal_sandbox::types::{Fragment, Variable};

use super::*;
use crate::memory::MemoryTree;

fn command(argv: &[&str], password: &str) -> Command {
    Command {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        environment: vec![Variable {
            name: "PGPASSWORD".to_owned(),
            value: vec![Fragment::Secret(password.to_owned())],
        }],
        stdin: Some(vec![
            Fragment::Plain("user ".to_owned()),
            Fragment::Secret(password.to_owned()),
        ]),
        descriptors: vec![vec![Fragment::Secret(password.to_owned())]],
        timeout: 5,
    }
}

/// Answers with the number of times that it was asked.
#[derive(Default)]
struct Counting(Mutex<u32>);

impl Probe for Counting {
    fn run(&self, _: &Command) -> Result<Output, Failure> {
        let mut count = lock(&self.0);
        *count += 1;
        Ok(Output {
            code: 0,
            stdout: vec![0xff, u8::try_from(*count).unwrap()],
            ..Output::default()
        })
    }
}

/// Asks a tree and a probe everything that there is to ask.
fn ask(tree: &dyn Tree, probe: &dyn Probe) -> String {
    let psql = command(&["psql"], "hunter2");
    format!(
        "{:?}",
        (
            (tree.name(), tree.location()),
            (
                tree.stat("a/b"),
                tree.stat("none"),
                tree.list("a"),
                tree.list("none")
            ),
            (
                tree.read("a/b", 0, 4),
                tree.read("a/b", 4, 9),
                tree.read("a", 0, 1)
            ),
            (probe.run(&psql), probe.run(&psql)),
        )
    )
}

fn recorded() -> (Recording, String) {
    let tree = MemoryTree::new("home", "/srv/home").file("a/b", b"\xffbytes and text".to_vec());
    let recorder = Recorder::new();
    let tree = recorder.tree(Role::Root, Arc::new(tree));
    let probe = recorder.probe(Arc::new(Counting::default()));
    let answers = ask(&*tree, &*probe);
    (recorder.recording(), answers)
}

#[test]
fn a_replay_answers_as_it_was_answered_when_it_was_recorded() {
    let (recording, answers) = recorded();
    let file = recording.to_bytes().unwrap();
    let replay = Replay::new(Recording::parse(&file).unwrap());
    let trees = replay.trees(Role::Root);
    assert!(replay.trees(Role::Target).is_empty());
    assert_eq!(ask(&*trees[0], &*replay.probe()), answers);
    replay.check().unwrap();
}

#[test]
fn what_was_not_recorded_is_named() {
    let (recording, _) = recorded();
    type Ask = fn(&dyn Tree, &dyn Probe) -> bool;
    let cases: [(Ask, &str); 4] = [
        (|tree, _| tree.stat("c").is_err(), "`tree.stat` of `home/c`"),
        (|tree, _| tree.list("").is_err(), "`tree.list` of `home`"),
        (
            |tree, _| tree.read("a/b", 1, 4).is_err(),
            "`tree.read` of `home/a/b`, 4 bytes from 1 on",
        ),
        (
            |_, probe| probe.run(&command(&["pg_dump"], "hunter2")).is_err(),
            "the command `pg_dump`",
        ),
    ];
    for (ask, named) in cases {
        let replay = Replay::new(recording.clone());
        assert!(ask(&*replay.trees(Role::Root)[0], &*replay.probe()));
        let error = replay.check().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_secret_is_not_written_down_and_does_not_have_to_be_the_same() {
    let (recording, _) = recorded();
    let file = String::from_utf8(recording.to_bytes().unwrap()).unwrap();
    assert!(
        !file.contains("hunter2") && file.contains("user ***"),
        "{file}"
    );
    let replay = Replay::new(recording);
    assert!(replay.probe().run(&command(&["psql"], "another")).is_ok());
}

#[test]
fn the_last_of_equal_commands_is_answered_for_ever() {
    let answers: Vec<CommandCall> = serde_json::from_str(
        r#"[{"argv": ["id"], "answer": {"stdout": "1"}},
            {"argv": ["id"], "failure": {"kind": "unavailable", "code": "x", "message": "gone", "remedy": null}}]"#,
    )
    .unwrap();
    let answers = Answers::new(answers);
    let id = Command {
        argv: vec!["id".to_owned()],
        environment: Vec::new(),
        stdin: None,
        descriptors: Vec::new(),
        timeout: 1,
    };
    assert_eq!(answers.answer(&id).unwrap().unwrap().stdout, b"1");
    for _ in 0..2 {
        assert_eq!(answers.answer(&id).unwrap().unwrap_err().message, "gone");
    }
}

#[test]
fn a_recording_ends_at_its_limit_and_says_so() {
    let tree = MemoryTree::new("home", "/home").file("large", vec![7; 33 << 20]);
    let recorder = Recorder::new();
    let tree = recorder.tree(Role::Root, Arc::new(tree));
    for piece in 0..33 {
        assert_eq!(
            tree.read("large", piece << 20, 1 << 20).unwrap().len(),
            1 << 20
        );
        assert_eq!(
            tree.read("large", piece << 20, (1 << 20) - 1)
                .unwrap()
                .len(),
            (1 << 20) - 1
        );
    }
    let recording = recorder.recording();
    assert!(recording.truncated);
    let replay = Replay::new(recording);
    let tree = &replay.trees(Role::Root)[0];
    assert!(tree.read("large", 0, 1 << 20).is_ok());
    assert!(tree.read("large", 32 << 20, 1 << 20).is_err());
    assert!(replay.check().unwrap_err().to_string().contains("64 MiB"));
}

#[test]
fn a_recording_of_another_format_is_refused() {
    for (json, says) in [
        (r#"{"format": 2}"#, "format 2"),
        ("{}", "format"),
        ("[", "EOF"),
        (r#"{"format": 1, "commands": [{"argv": ["x"]}]}"#, "answer"),
    ] {
        let error = Recording::parse(json.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
