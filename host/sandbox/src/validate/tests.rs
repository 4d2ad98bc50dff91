use std::collections::HashSet;

use proptest::prelude::*;

use super::order::sort;
use super::{backup_plan, description, detection, members, path, restore_plan};
use crate::bindings::exports::copal::plugin::transform;
use crate::types::{
    Action, BackupPlan, Base, Command, CopyEntry, Description, Detection, Fact, Feed, Finding,
    Fragment, HttpRequest, Intent, Location, Placement, PlacementContent, RenameEntry, RestorePlan,
    RootSpec, Severity, Source, SourceContent, Step, StreamSource, Variable, Window, WriteFile,
};

fn roots() -> HashSet<String> {
    HashSet::from(["home".to_owned()])
}

fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        environment: vec![],
        stdin: None,
        descriptors: vec![],
        timeout: 60,
    }
}

fn step(id: &str, action: Action) -> Step {
    Step {
        id: id.to_owned(),
        title: "Do it".to_owned(),
        action,
        undo: None,
        capture: false,
    }
}

fn write(path: &str, content: Fragment) -> Action {
    Action::Write(WriteFile {
        to: Location {
            base: Base::Root("home".to_owned()),
            path: path.to_owned(),
        },
        content: vec![content],
        mode: None,
    })
}

fn source(name: &str, after: &[&str], window: Window) -> Source {
    Source {
        name: name.to_owned(),
        after: after.iter().map(|name| (*name).to_owned()).collect(),
        window,
        content: SourceContent::Tree("home".to_owned()),
    }
}

fn empty() -> BackupPlan {
    BackupPlan {
        findings: vec![],
        facts: vec![],
        quiesce: vec![],
        sources: vec![],
        state: vec![],
    }
}

/// What is said of a backup plan that is changed like this.
fn broken(change: impl FnOnce(&mut BackupPlan)) -> String {
    let mut plan = empty();
    change(&mut plan);
    backup_plan(plan, &roots()).unwrap_err()
}

fn broken_step(action: Action) -> String {
    broken(|plan| plan.quiesce.push(step("a", action)))
}

#[test]
fn paths_are_relative_and_stay_beneath() {
    for fine in ["", "a", "a/b.c", r"back\\slash", r"caf\xe9", "..."] {
        assert_eq!(path(fine), Ok(()), "{fine}");
    }
    for bad in [
        "/",
        "/etc",
        "a/",
        "a//b",
        ".",
        "a/./b",
        "..",
        "a/../..",
        r"\",
        r"\x41",
        "a\0",
        &"x".repeat(256),
    ] {
        assert!(path(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn steps_that_can_not_be_carried_out_are_named() {
    for (action, why) in [
        (Action::Run(command(&[])), "names no program"),
        (Action::Run(command(&["ls", "\0"])), "NUL"),
        (
            Action::Run(command(&["ls", "{root:other}"])),
            "has no value",
        ),
        (Action::Run(command(&["ls", "{"])), "single brace"),
        (
            Action::Run(Command {
                timeout: 0,
                ..command(&["ls"])
            }),
            "timeout of 0",
        ),
        (
            Action::Run(Command {
                timeout: 604_801,
                ..command(&["ls"])
            }),
            "timeout of 604801",
        ),
        (write("", Fragment::Plain(String::new())), "whole root"),
        (write("../x", Fragment::Plain(String::new())), "no `..`"),
        (
            write("x", Fragment::Plain("{x}".to_owned())),
            "single brace",
        ),
        (
            Action::Remove(Location {
                base: Base::Root("other".to_owned()),
                path: "x".to_owned(),
            }),
            "no root `other`",
        ),
        (
            Action::Http(HttpRequest {
                method: "GET".to_owned(),
                url: "http://user:word@localhost/".to_owned(),
                headers: vec![],
                body: None,
                expect: vec![],
                timeout: 1,
            }),
            "names a user or a password",
        ),
        (
            Action::Http(HttpRequest {
                method: "GET".to_owned(),
                url: "http://localhost/".to_owned(),
                headers: vec![variable("HOST")],
                body: None,
                expect: vec![],
                timeout: 1,
            }),
            "`HOST` can't be a header",
        ),
        (
            Action::Http(HttpRequest {
                method: "*".to_owned(),
                url: "http://localhost/".to_owned(),
                headers: vec![],
                body: None,
                expect: vec![],
                timeout: 1,
            }),
            "its method is not",
        ),
        (
            Action::Http(HttpRequest {
                method: "GET".to_owned(),
                url: "http://localhost/".to_owned(),
                headers: vec![],
                body: None,
                expect: vec![200; 1_001],
                timeout: 1,
            }),
            "1001 status codes",
        ),
        (write("x", Fragment::Plain("{fd:0}".to_owned())), "no value"),
    ] {
        let broken = broken_step(action);
        assert!(
            broken.starts_with("the step `a`") && broken.contains(why),
            "{broken}"
        );
    }
}

fn variable(name: &str) -> Variable {
    Variable {
        name: name.to_owned(),
        value: vec![],
    }
}

#[test]
fn commands_that_hide_what_they_run_are_named() {
    let with = |argv: &[&str], variables: &[&str]| Command {
        environment: variables.iter().map(|name| variable(name)).collect(),
        ..command(argv)
    };
    let reading = |argv: &[&str], descriptors: Vec<Vec<Fragment>>| Command {
        descriptors,
        ..command(argv)
    };
    let text = |length| vec![Fragment::Secret("x".repeat(length))];
    for (command, why) in [
        (with(&["./ls"], &[]), "neither a name nor an absolute path"),
        (
            with(&["bin/ls"], &[]),
            "neither a name nor an absolute path",
        ),
        (
            with(&["/bin/../ls"], &[]),
            "neither a name nor an absolute path",
        ),
        (with(&["/bin/"], &[]), "must name the program"),
        (with(&["PATH=", "ls"], &[]), "has no `=`"),
        (with(&["ls"], &["A=B"]), "can't be the name of a variable"),
        (with(&["ls"], &["A B"]), "can't be the name of a variable"),
        (with(&["ls"], &["1"]), "can't be the name of a variable"),
        (with(&["ls"], &[""]), "can't be the name of a variable"),
        (with(&["ls"], &["A", "A"]), "two variables `A`"),
        (reading(&["ls", "{fd:0}"], vec![]), "has 0 descriptors"),
        (
            reading(&["ls", "{fd:1}"], vec![text(1)]),
            "has 1 descriptors",
        ),
        (reading(&["ls"], vec![text(1)]), "no `{fd:N}` names"),
        (
            reading(&["ls", "{fd:0}"], vec![text((1 << 20) + 1)]),
            "at most 1048576",
        ),
        (reading(&["ls", "{fd:0}"], vec![text(1); 17]), "at most 16"),
    ] {
        let named = broken_step(Action::Run(command.clone()));
        assert!(named.contains(why), "{named}");
        let probe = super::command(&command).unwrap_err();
        assert!(probe.contains(why), "{probe}");
    }
    let mut fine = reading(&["{scratch}/bin/x", "{fd:0}"], vec![text(1 << 19); 2]);
    fine.environment.push(Variable {
        value: vec![Fragment::Plain("{fd:1}".to_owned())],
        ..variable("PGPASSFILE")
    });
    let mut plan = empty();
    plan.quiesce.push(step("a", Action::Run(fine)));
    backup_plan(plan, &roots()).unwrap();
}

#[test]
fn ids_are_well_formed_and_unique() {
    let remove = || write("x", Fragment::Plain(String::new()));
    assert!(broken(|plan| plan.quiesce.push(step("A b", remove()))).contains("the step `A b`"));
    assert!(
        broken(|plan| plan.quiesce = vec![step("a", remove()), step("a", remove())])
            .contains("two steps `a`")
    );
    assert!(
        broken(|plan| plan.sources = vec![
            source("a", &[], Window::Live),
            source("a", &[], Window::Live)
        ])
        .contains("two sources `a`")
    );
}

#[test]
fn an_undo_with_a_secret_is_refused() {
    let secret = || Fragment::Secret("word".to_owned());
    let variable = Variable {
        name: "PASSWORD".to_owned(),
        value: vec![secret()],
    };
    for undo in [
        write("x", secret()),
        Action::Run(Command {
            environment: vec![variable],
            ..command(&["ls"])
        }),
        Action::Run(Command {
            stdin: Some(vec![secret()]),
            ..command(&["ls"])
        }),
        Action::Run(Command {
            descriptors: vec![vec![secret()]],
            ..command(&["ls", "{fd:0}"])
        }),
    ] {
        let mut plan = empty();
        plan.quiesce.push(step("a", undo.clone()));
        assert!(backup_plan(plan, &roots()).is_ok());
        let broken = broken(|plan| {
            let mut step = step("a", Action::Run(command(&["ls"])));
            step.undo = Some(undo);
            plan.quiesce.push(step);
        });
        assert!(
            broken.contains("holds a secret") && !broken.contains("word"),
            "{broken}"
        );
    }
}

#[test]
fn sources_are_put_in_order() {
    let mut plan = empty();
    plan.sources = vec![
        source("c", &["b"], Window::Live),
        source("a", &[], Window::Quiesced),
        source("b", &["a"], Window::Quiesced),
    ];
    let plan = backup_plan(plan, &roots()).unwrap();
    let names: Vec<_> = plan
        .sources
        .iter()
        .map(|source| source.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn sources_that_wait_for_each_other_or_for_nothing_are_refused() {
    for (sources, why) in [
        (
            vec![source("a", &["a"], Window::Live)],
            "after another of them: `a`",
        ),
        (
            vec![
                source("a", &["b"], Window::Live),
                source("b", &["a"], Window::Live),
            ],
            "`a`, `b`",
        ),
        (
            vec![source("a", &["x"], Window::Live)],
            "after `x`, which is not there",
        ),
        (
            vec![source("a", &["b"; 1_001], Window::Live)],
            "1001 items in one `after`",
        ),
        (
            vec![
                source("a", &[], Window::Live),
                source("b", &["a"], Window::Quiesced),
            ],
            "after one that is live",
        ),
    ] {
        let broken = broken(|plan| plan.sources = sources);
        assert!(broken.contains(why), "{broken}");
    }
}

#[test]
fn a_thousand_sources_that_all_wait_for_all_before_them_are_sorted_at_once() {
    let items: Vec<_> = (0..1_000)
        .rev()
        .map(|item| {
            (
                format!("{item}"),
                (0..item).map(|one| format!("{one}")).collect(),
            )
        })
        .collect();
    let began = std::time::Instant::now();
    let sorted = sort(items, "item", |(name, after): &(String, Vec<String>)| {
        (name, after)
    });
    let first = sorted.unwrap().into_iter().next();
    assert_eq!(first, Some(("0".to_owned(), vec![])));
    assert!(began.elapsed().as_secs() < 5);
}

#[test]
fn a_stream_is_one_name_of_its_own() {
    let stream = |source_name: &str, name: &str| Source {
        content: SourceContent::Command(StreamSource {
            name: name.to_owned(),
            command: command(&["dump"]),
            filter: false,
        }),
        ..source(source_name, &[], Window::Live)
    };
    assert!(broken(|plan| plan.sources.push(stream("a", "../x"))).contains("the source `a`"));
    assert!(
        broken(|plan| plan.sources = vec![stream("a", "x"), stream("b", "x")])
            .contains("two streams `x`")
    );
}

#[test]
fn facts_are_camel_case_and_json() {
    let fact = |name: &str, value: &str| Fact {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    assert!(broken(|plan| plan.facts.push(fact("Install-Id", "1"))).contains("camelCase"));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for value in ["abc", "1 2", "1e999", &deep] {
        assert!(broken(|plan| plan.facts.push(fact("installId", value))).contains("not JSON"));
    }
    let long = format!("\"{}\"", "x".repeat(8 << 20));
    assert!(broken(|plan| plan.facts.push(fact("installId", &long))).contains("8388610 bytes"));
    assert!(
        broken(|plan| plan.facts = vec![fact("a", "1"), fact("a", "2")]).contains("two facts `a`")
    );
}

#[test]
fn what_is_shown_holds_no_terminal_escapes() {
    let mut plan = empty();
    plan.findings.push(Finding {
        severity: Severity::Warning,
        code: "a.b".to_owned(),
        message: "\u{1b}[2Jall is well".to_owned(),
        remedy: Some("\u{7}none".to_owned()),
        path: None,
    });
    let plan = backup_plan(plan, &roots()).unwrap();
    assert_eq!(plan.findings[0].message, "all is well");
    assert_eq!(plan.findings[0].remedy.as_deref(), Some("none"));
}

#[test]
fn too_much_of_anything_names_the_rule() {
    let finding = Finding {
        severity: Severity::Info,
        code: "a".to_owned(),
        message: String::new(),
        remedy: None,
        path: None,
    };
    let long = Finding {
        message: "x".repeat(16_385),
        ..finding.clone()
    };
    assert!(
        broken(|plan| plan.findings = vec![finding; 1_001]).contains("1001 findings, at most 1000")
    );
    assert!(broken(|plan| plan.findings.push(long)).contains("16385 bytes, at most 16384"));
    assert!(broken(|plan| plan.state = vec![0; (1 << 20) + 1]).contains("1048577 bytes"));
}

#[test]
fn a_feed_needs_its_stream_and_its_standard_input() {
    let plan = |stdin: Option<Vec<Fragment>>| RestorePlan {
        findings: vec![],
        safeguards: vec![],
        before: vec![],
        placements: vec![Placement {
            name: "database".to_owned(),
            after: vec![],
            content: PlacementContent::Feed(Feed {
                name: "db.sql".to_owned(),
                command: Command {
                    stdin,
                    ..command(&["psql"])
                },
                filter: false,
            }),
        }],
        after: vec![],
        state: vec![],
    };
    let streams = HashSet::from(["db.sql".to_owned()]);
    assert!(restore_plan(plan(None), &roots(), &streams).is_ok());
    assert!(
        restore_plan(plan(None), &roots(), &HashSet::new())
            .unwrap_err()
            .contains("no stream `db.sql`")
    );
    assert!(
        restore_plan(plan(Some(vec![])), &roots(), &streams)
            .unwrap_err()
            .contains("has no `stdin`")
    );
}

#[test]
fn a_restore_step_id_is_unique_across_before_and_after() {
    let run = || step("a", Action::Run(command(&["ls"])));
    let plan = RestorePlan {
        findings: vec![],
        safeguards: vec![],
        before: vec![run()],
        placements: vec![],
        after: vec![run()],
        state: vec![],
    };
    assert!(
        restore_plan(plan, &roots(), &HashSet::new())
            .unwrap_err()
            .contains("two steps `a`")
    );
}

#[test]
fn a_file_that_a_step_writes_runs_as_nobody_else() {
    for (mode, fits) in [(0o777, true), (0o4755, false), (0o1777, false)] {
        let mut action = write("a", Fragment::Plain(String::new()));
        if let Action::Write(write) = &mut action {
            write.mode = Some(mode);
        }
        let plan = BackupPlan {
            quiesce: vec![step("a", action)],
            ..empty()
        };
        assert_eq!(backup_plan(plan, &roots()).is_ok(), fits, "0o{mode:o}");
    }
}

#[test]
fn a_step_before_a_restore_works_on_files_of_the_scratch_folder_alone() {
    let at = |base: Base, path: &str| Location {
        base,
        path: path.to_owned(),
    };
    let root = |path: &str| at(Base::Root("home".to_owned()), path);
    let scratch = |path: &str| at(Base::Scratch, path);
    let copy = |from: Location, to: Location| Action::Copy(CopyEntry { from, to });
    let rename = |from: Location, to: Location| Action::Rename(RenameEntry { from, to });
    let write = |to: Location| {
        Action::Write(WriteFile {
            to,
            content: vec![],
            mode: None,
        })
    };
    let check = |before: Vec<Step>, after: Vec<Step>| {
        let plan = RestorePlan {
            findings: vec![],
            safeguards: vec![],
            before,
            placements: vec![],
            after,
            state: vec![],
        };
        restore_plan(plan, &roots(), &HashSet::new())
    };
    let undone_by = |undo: &Action| Step {
        undo: Some(undo.clone()),
        ..step("a", Action::Run(command(&["ls"])))
    };
    for action in [
        write(root("a")),
        copy(scratch("a"), root("a")),
        rename(root("a"), root("b")),
        Action::Remove(root("a")),
    ] {
        for step in [step("a", action.clone()), undone_by(&action)] {
            let broken = check(vec![step.clone()], vec![]).unwrap_err();
            assert!(broken.contains("`a` alters a root"), "{broken}");
            assert!(check(vec![], vec![step]).is_ok());
        }
    }
    for action in [
        write(scratch("a")),
        copy(root("a"), scratch("a")),
        rename(scratch("a"), scratch("b")),
        Action::Remove(scratch("a")),
    ] {
        for step in [step("a", action.clone()), undone_by(&action)] {
            assert!(check(vec![step], vec![]).is_ok());
        }
    }
}

#[test]
fn descriptions_and_detections_keep_to_the_contract() {
    let fine = Description {
        name: "copal/files".to_owned(),
        version: "0.1.0".to_owned(),
        summary: String::new(),
        roots: vec![RootSpec {
            name: "data".to_owned(),
            description: String::new(),
            conflicts: vec!["other".to_owned()],
        }],
        any_roots: true,
        config_schema: "{}".to_owned(),
        capabilities: vec![],
        applications: vec![],
        intents: vec![Intent::Recover],
    };
    assert!(description(fine.clone()).is_ok());
    for (change, why) in [
        (
            (|d| d.name = "files".to_owned()) as fn(&mut Description),
            "publisher/name",
        ),
        (|d| d.config_schema = "[]".to_owned(), "not a JSON object"),
        (|d| d.intents.clear(), "no intent"),
        (|d| d.version.clear(), "not a semantic one"),
        (|d| d.version = "1.0".to_owned(), "not a semantic one"),
        (
            |d| d.version = "1.0.0\nforged".to_owned(),
            "not a semantic one",
        ),
        (
            |d| d.version = format!("1.0.0+{}", "x".repeat(99)),
            "64 bytes",
        ),
        (|d| d.intents = vec![Intent::Recover; 1_001], "1001 intents"),
        (
            |d| d.roots[0].conflicts = vec!["b".to_owned(); 1_001],
            "1001 conflicts",
        ),
        (|d| d.roots[0].conflicts = vec!["\n".to_owned()], "the root"),
    ] {
        let mut changed = fine.clone();
        change(&mut changed);
        let broken = description(changed).unwrap_err();
        assert!(broken.contains(why), "{broken}");
    }
    for confidence in [0, 101] {
        let detected = Detection {
            application: "Jpom".to_owned(),
            version: None,
            root: "home".to_owned(),
            confidence,
            because: vec![],
        };
        assert!(detection(Some(detected)).is_err());
    }
}

proptest! {
    #[test]
    fn any_order_without_cycles_is_sorted(shuffled in Just((0..20_usize).collect::<Vec<_>>()).prop_shuffle(), edges in proptest::collection::vec((0..20_usize, 0..20_usize), 0..60)) {
        let items: Vec<(String, Vec<String>)> = shuffled
            .iter()
            .map(|item| {
                // An item waits for smaller ones only, so there is no cycle.
                let after = edges.iter().filter(|(from, to)| from == item && to < item).map(|(_, to)| to.to_string()).collect();
                (item.to_string(), after)
            })
            .collect();
        let sorted = sort(items, "item", |item| (&item.0, &item.1)).unwrap();
        prop_assert_eq!(sorted.len(), 20);
        for (i, (_, after)) in sorted.iter().enumerate() {
            for name in after {
                prop_assert!(sorted[..i].iter().any(|(earlier, _)| earlier == name));
            }
        }
    }
}

#[test]
fn members_lie_one_after_the_other_in_what_was_returned() {
    let member = |path: &str, offset, length| transform::Member {
        path: path.to_owned(),
        offset,
        length,
    };
    let good = vec![
        member("a", 10, 0),
        member("b/c", 10, 5),
        member("b", 15, u64::MAX - 15),
    ];
    let (taken, end) = members(good, 10..=20).unwrap();
    assert_eq!((taken.len(), end), (3, u64::MAX));
    assert_eq!(members(vec![], 7..=7), Ok((vec![], 7)));
    for (bad, broken) in [
        (vec![member("a", 9, 1)], "does not begin between 10 and 20"),
        (vec![member("a", 21, 1)], "does not begin between 10 and 20"),
        (
            vec![member("a", 10, 5), member("b", 14, 1)],
            "does not begin between 15 and 20",
        ),
        (vec![member("a", 11, u64::MAX)], "does not begin between"),
        (vec![member("", 10, 1)], "1 to 4096 bytes"),
        (vec![member(&"a/".repeat(3000), 10, 1)], "1 to 4096 bytes"),
        (vec![member("../a", 10, 1)], "no `..`"),
        (vec![member("/a", 10, 1)], "no empty names"),
        (vec![member("a\0", 10, 1)], "no NUL"),
        (vec![member(r"a\x41", 10, 1)], "not a name"),
        (vec![member("a", 10, 0); 40_000], "40000 members at once"),
    ] {
        let rule = members(bad, 10..=20).unwrap_err();
        assert!(rule.contains(broken), "{rule}");
    }
}
