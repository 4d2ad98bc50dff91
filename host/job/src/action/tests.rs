use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt as _, chown, symlink};

use copal_sandbox::types::{Base, Fragment};

use super::*;
use crate::places::Root;

fn location(path: &str) -> Location {
    Location {
        base: Base::Root("home".into()),
        path: path.into(),
    }
}

struct Bench {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    fn perform(&self, action: &Action) -> Result<Vec<u8>, ActionError> {
        self.with_hands(|hands| hands.perform(action))
    }

    fn with_hands<T>(&self, work: impl FnOnce(&Hands<'_>) -> T) -> T {
        let root = Root {
            name: "home".into(),
            path: self.dir.path().into(),
        };
        let places = Places::new(&[root], None);
        work(&Hands {
            places: &places,
            runtime: self.runtime.handle(),
            supervisor: Supervisor::from(&Arc::default()),
        })
    }
}

fn write(path: &str, text: &str) -> Action {
    Action::Write(WriteFile {
        to: location(path),
        content: vec![Fragment::Secret(text.into())],
        mode: None,
    })
}

#[test]
fn a_written_file_keeps_the_mode_of_the_one_it_replaces() {
    let bench = Bench::new();
    let path = bench.dir.path().join("a");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    bench.perform(&write("a", "new")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    assert_eq!(
        fs::read_dir(bench.dir.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn nothing_is_written_through_a_symlink_out_of_the_root() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), bench.dir.path().join("way-out")).unwrap();
    assert!(bench.perform(&write("way-out/a", "x")).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn no_step_works_behind_a_symlink_that_stays_within_the_root() {
    let bench = Bench::new();
    let at = |path: &str| bench.dir.path().join(path);
    fs::create_dir_all(at("bin")).unwrap();
    fs::create_dir_all(at("conf")).unwrap();
    fs::write(at("bin/x"), "as it was").unwrap();
    symlink("../bin", at("conf/link")).unwrap();
    let (link, free) = (|| location("conf/link/x"), || location("conf/y"));
    for action in [
        write("conf/link/x", "planted"),
        write("conf/link/made/x", "planted"),
        Action::Copy(CopyEntry {
            from: free(),
            to: link(),
        }),
        Action::Copy(CopyEntry {
            from: link(),
            to: free(),
        }),
        Action::Rename(RenameEntry {
            from: link(),
            to: free(),
        }),
        Action::Rename(RenameEntry {
            from: location("bin/x"),
            to: location("conf/link/z"),
        }),
        Action::Remove(link()),
    ] {
        if matches!(&action, Action::Copy(copy) if copy.to == link()) {
            fs::write(at("conf/y"), "").unwrap();
        } else {
            fs::remove_file(at("conf/y")).ok();
        }
        let error = bench.perform(&action).unwrap_err();
        assert!(
            matches!(&error, ActionError::Place(PlaceError::Symlink(path)) if *path == at("conf/link")),
            "{action:?}: {error}"
        );
    }
    assert_eq!(fs::read_to_string(at("bin/x")).unwrap(), "as it was");
    assert_eq!(fs::read_dir(at("bin")).unwrap().count(), 1);
    // The link itself may be replaced or removed: that alters the folder that it lies in.
    bench.perform(&write("conf/link", "a file")).unwrap();
    bench
        .perform(&Action::Remove(location("conf/link")))
        .unwrap();
    assert_eq!(fs::read_to_string(at("bin/x")).unwrap(), "as it was");
}

#[test]
fn a_directory_is_copied_whole_and_never_over_another() {
    let bench = Bench::new();
    fs::create_dir_all(bench.dir.path().join("db/sub")).unwrap();
    fs::write(bench.dir.path().join("db/sub/f"), "x").unwrap();
    symlink("sub/f", bench.dir.path().join("db/link")).unwrap();
    let copy = Action::Copy(CopyEntry {
        from: location("db"),
        to: location("copy/db"),
    });
    bench.perform(&copy).unwrap();
    assert_eq!(
        fs::read_to_string(bench.dir.path().join("copy/db/link")).unwrap(),
        "x"
    );
    let into_itself = Action::Copy(CopyEntry {
        from: location("db"),
        to: location("db/sub/copy"),
    });
    assert!(bench.perform(&into_itself).is_err());
    assert!(bench.perform(&copy).is_err());
}

#[test]
fn a_copy_runs_as_whom_it_ran_before() {
    let bench = Bench::new();
    let root = rustix::process::geteuid().is_root();
    let at = |path: &str| bench.dir.path().join(path);
    fs::create_dir(at("app")).unwrap();
    fs::write(at("app/program"), "x").unwrap();
    if root {
        // Whoever may write to an application's files must not get root's rights by a copy that root makes of them.
        for path in ["app", "app/program"] {
            chown(at(path), Some(12_345), Some(12_345)).unwrap();
        }
    }
    let mode = |path: &str, mode| {
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("app/program", 0o4755);
    mode("app", 0o710);
    let copy = Action::Copy(CopyEntry {
        from: location("app"),
        to: location("copy"),
    });
    bench.perform(&copy).unwrap();
    let about = |path: &str| {
        let found = fs::metadata(at(path)).unwrap();
        (found.uid(), found.gid(), found.mode())
    };
    assert_eq!(about("copy"), about("app"));
    assert_eq!(about("copy/program"), about("app/program"));
}

#[test]
fn a_file_that_is_written_runs_as_nobody_else() {
    let bench = Bench::new();
    let path = bench.dir.path().join("a");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
    bench.perform(&write("a", "new")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn removing_what_is_not_there_is_no_error() {
    let bench = Bench::new();
    fs::create_dir_all(bench.dir.path().join("a/b")).unwrap();
    bench.perform(&Action::Remove(location("a"))).unwrap();
    bench.perform(&Action::Remove(location("a"))).unwrap();
    assert!(!bench.dir.path().join("a").exists());
}

#[test]
fn a_rename_never_replaces() {
    let bench = Bench::new();
    fs::write(bench.dir.path().join("a"), "a").unwrap();
    fs::write(bench.dir.path().join("b"), "b").unwrap();
    let rename = |to| {
        Action::Rename(RenameEntry {
            from: location("a"),
            to: location(to),
        })
    };
    assert!(bench.perform(&rename("b")).is_err());
    bench.perform(&rename("c")).unwrap();
    assert_eq!(fs::read_to_string(bench.dir.path().join("c")).unwrap(), "a");
}

#[test]
fn a_rename_that_was_never_done_is_taken_back_all_the_same() {
    let bench = Bench::new();
    fs::write(bench.dir.path().join("a"), "a").unwrap();
    let back = Action::Rename(RenameEntry {
        from: location("b"),
        to: location("a"),
    });
    let undo = || bench.with_hands(|hands| hands.undo(&back));
    undo().unwrap();
    fs::rename(bench.dir.path().join("a"), bench.dir.path().join("b")).unwrap();
    undo().unwrap();
    assert_eq!(fs::read_to_string(bench.dir.path().join("a")).unwrap(), "a");
    fs::remove_file(bench.dir.path().join("a")).unwrap();
    assert!(undo().is_err(), "it is lost");
}

/// Answers one request with the status line and body, on a free port.
fn server(status: &'static str, body: &'static str) -> String {
    server_with(status, String::new(), body)
}

/// The same with further lines of the head.
fn server_with(status: &'static str, lines: String, body: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        io::Read::read(&mut stream, &mut head).unwrap();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
    });
    format!("http://{address}/")
}

fn get(url: String) -> HttpRequest {
    let (headers, body, expect) = (Vec::new(), None, Vec::new());
    HttpRequest {
        method: "GET".into(),
        url,
        headers,
        body,
        expect,
        timeout: 5,
    }
}

#[test]
fn a_request_gives_the_answer_or_the_status_that_was_not_expected() {
    let bench = Bench::new();
    assert_eq!(
        bench
            .perform(&Action::Http(get(server("200 OK", "pong"))))
            .unwrap(),
        b"pong"
    );
    let error = bench
        .perform(&Action::Http(get(server("503 Service Unavailable", ""))))
        .unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
}

#[test]
fn a_redirect_is_not_followed() {
    let bench = Bench::new();
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let place = elsewhere.local_addr().unwrap();
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = format!("location: http://{place}/\r\n");
        let error = bench
            .perform(&Action::Http(get(server_with(
                status,
                location.clone(),
                "",
            ))))
            .unwrap_err();
        assert!(error.to_string().contains(&status[..3]), "{error}");
        let taken = HttpRequest {
            expect: vec![301, 302, 307, 308],
            ..get(server_with(status, location, "moved"))
        };
        assert_eq!(bench.perform(&Action::Http(taken)).unwrap(), b"moved");
    }
    let asked = elsewhere.accept().map(drop).unwrap_err();
    assert_eq!(asked.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_wait_ends_when_the_condition_holds_and_fails_when_it_never_does() {
    let bench = Bench::new();
    let wait = |condition, timeout| {
        Action::Wait(WaitUntil {
            condition,
            interval: 1,
            timeout,
        })
    };
    bench
        .perform(&wait(
            Condition::Responds(get(server("204 No Content", ""))),
            5,
        ))
        .unwrap();
    let argv = vec!["false".to_owned()];
    let command = copal_sandbox::types::Command {
        descriptors: Vec::new(),
        argv,
        environment: Vec::new(),
        stdin: None,
        timeout: 5,
    };
    let error = bench
        .perform(&wait(Condition::CommandSucceeds(command), 1))
        .unwrap_err();
    assert!(
        matches!(error, ActionError::Wait { seconds: 1, .. }),
        "{error}"
    );
}
