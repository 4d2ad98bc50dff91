//! SFTP and WebDAV against real servers: that they are object stores, and what happens where a line breaks or somebody is not let in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "the book has the figures")]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use bytes::Bytes;
use copal_storage::object_store::path::Path;
use copal_storage::object_store::{Error as StoreError, ObjectStoreExt as _, PutMode, PutOptions};
use copal_storage::{Options, Store, open_with};
use copal_tests::azure::Azurite;
use copal_tests::b2::B2Account;
use copal_tests::proxy::{Proxy, Trouble};
use copal_tests::s3::S3Server;
use copal_tests::sample;
use copal_tests::slow::{Line, SlowLine};
use copal_tests::ssh::SshServer;
use copal_tests::webdav::WebDavServer;
use futures::TryStreamExt as _;
use tokio::runtime::Runtime;

fn open(address: &str, variables: Vec<(String, String)>) -> Store {
    let options = Options {
        variables,
        ..Options::default()
    };
    open_with(address, &options).unwrap()
}

/// What every store must do, whatever lies beneath it.
async fn holds(store: &Store) {
    let objects = store.objects();
    let path = |name: &str| Path::from(name);
    let names = async |prefix: Option<&str>| {
        let prefix = prefix.map(Path::from);
        let listed = objects.list(prefix.as_ref());
        let mut listed: Vec<_> = listed.try_collect().await.unwrap();
        listed.sort_by(|one, other| one.location.cmp(&other.location));
        let listed = listed.into_iter();
        listed
            .map(|object| (object.location.to_string(), object.size))
            .collect::<Vec<_>>()
    };
    assert!(names(None).await.is_empty());
    assert!(names(Some("data")).await.is_empty());
    let missing = objects.get(&path("data/aa/x")).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");

    let noise = Bytes::from(sample::noise(2, 300_000));
    objects
        .put(&path("data/aa/x"), noise.clone().into())
        .await
        .unwrap();
    objects.put(&path("data/ab/y"), "why".into()).await.unwrap();
    objects.put(&path("config"), "first".into()).await.unwrap();
    objects.put(&path("config"), "second".into()).await.unwrap();
    objects.put(&path("keys/empty"), "".into()).await.unwrap();

    let all = [
        ("config", 6),
        ("data/aa/x", 300_000),
        ("data/ab/y", 3),
        ("keys/empty", 0),
    ];
    let all = all.map(|(name, size)| (name.to_owned(), size));
    assert_eq!(names(None).await, all);
    assert_eq!(names(Some("data")).await, all[1..3]);
    let top = objects.list_with_delimiter(None).await.unwrap();
    let mut folders: Vec<_> = top
        .common_prefixes
        .iter()
        .map(ToString::to_string)
        .collect();
    folders.sort();
    assert_eq!(folders, ["data", "keys"]);
    assert_eq!(top.objects.len(), 1);

    let whole = objects.get(&path("data/aa/x")).await.unwrap();
    assert_eq!(whole.meta.size, 300_000);
    assert_eq!(whole.bytes().await.unwrap(), noise);
    for range in [0..1, 5..200_005, 299_999..300_000] {
        let part = objects
            .get_range(&path("data/aa/x"), range.clone())
            .await
            .unwrap();
        assert_eq!(part, noise.slice(range.start as usize..range.end as usize));
    }
    let beyond = objects.get_range(&path("data/ab/y"), 7..9).await;
    assert!(beyond.is_err(), "{beyond:?}");
    assert_eq!(objects.head(&path("config")).await.unwrap().size, 6);
    let empty = objects.get(&path("keys/empty")).await.unwrap();
    assert!(empty.bytes().await.unwrap().is_empty());
    objects
        .copy(&path("data/ab/y"), &path("data/ac/z"))
        .await
        .unwrap();
    assert_eq!(names(Some("data/ac")).await, [("data/ac/z".to_owned(), 3)]);

    objects.delete(&path("data/aa/x")).await.unwrap();
    assert_eq!(names(Some("data/aa")).await, []);
    let missing = objects.head(&path("data/aa/x")).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_is_an_object_store() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = SshServer::start(&directory.path().join("ssh")) else {
        return;
    };
    let root = directory.path().join("not/yet there");
    let address = server.address(server.port(), &root).replace(' ', "%20");
    let store = open(&address, server.variables());
    holds(&store).await;
    let objects = store.objects();
    let (old, new) = (Path::from("config"), Path::from("new"));
    let create = || PutOptions::from(PutMode::Create);
    let taken = objects
        .put_opts(&old, "third".into(), create())
        .await
        .unwrap_err();
    assert!(matches!(taken, StoreError::AlreadyExists { .. }), "{taken}");
    objects
        .put_opts(&new, "third".into(), create())
        .await
        .unwrap();
    // Nobody else may read what lies there, and nothing is left of what was not finished.
    let mode = |path: &str| root.join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode(""), mode("data/ab"), mode("new")],
        [0o700, 0o700, 0o600]
    );
    let left = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["config", "data", "keys", "new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn webdav_is_an_object_store() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = WebDavServer::start(directory.path()) else {
        return;
    };
    holds(&open(&server.address("below/a"), Vec::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_need_the_same_new_folder_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (Some(webdav), Some(ssh)) = (
        WebDavServer::start(&directory.path().join("webdav")),
        SshServer::start(&directory.path().join("ssh")),
    ) else {
        return;
    };
    let root = directory.path().join("sftp");
    for store in [
        open(&webdav.address("new"), Vec::new()),
        open(&ssh.address(ssh.port(), &root), ssh.variables()),
    ] {
        let puts = (0..64).map(|number| {
            let objects = store.objects().clone();
            let name = Path::from(format!("data/{:02x}/{number}", number / 2));
            tokio::spawn(async move { objects.put(&name, "x".into()).await })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap().unwrap();
        }
    }
}

/// A line on which what is written can be caught half-way.
fn slow_line(server: &SshServer) -> SlowLine {
    let line = SlowLine::to(
        server.port(),
        Line {
            round_trip: Duration::from_millis(10),
            bytes_per_second: 8 << 20,
        },
    );
    // The key of the server is known for its own port.
    server.know_at(line.port());
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_made_again_and_nothing_half_written_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut server) = SshServer::start(&directory.path().join("ssh")) else {
        return;
    };
    let line = slow_line(&server);
    let root = directory.path().join("root");
    let place = server.address(line.port(), &root);
    let store = open(&place, server.variables());
    let name = Path::from("data/aa/noise");
    let noise = sample::noise(1, 12 << 20);
    let objects = store.objects().clone();
    let writing = tokio::spawn({
        let (name, noise) = (name.clone(), noise.clone());
        async move { objects.put(&name, noise.into()).await }
    });
    while line.traffic().up < 1 << 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    line.cut();
    writing.await.unwrap().unwrap();
    assert_eq!(std::fs::read(root.join("data/aa/noise")).unwrap(), noise);
    // What the first connection left is no object.
    let listed: Vec<_> = store.objects().list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");

    let objects = store.objects().clone();
    let reading = tokio::spawn({
        let name = name.clone();
        async move { objects.get(&name).await?.bytes().await }
    });
    let before = line.traffic().down;
    while line.traffic().down < before + (1 << 20) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // With the server gone for a while.
    server.stop();
    line.cut();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.resume();
    assert_eq!(reading.await.unwrap().unwrap(), noise);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_given_up_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = SshServer::start(&directory.path().join("ssh")) else {
        return;
    };
    let line = slow_line(&server);
    let root = directory.path().join("root");
    let place = server.address(line.port(), &root);
    let objects = open(&place, server.variables()).objects().clone();
    let noise = sample::noise(1, 12 << 20);
    let writing = tokio::spawn(async move {
        let name = Path::from("data/aa/noise");
        objects.put(&name, noise.into()).await
    });
    while line.traffic().up < 1 << 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let left = || std::fs::read_dir(root.join("data/aa")).unwrap().count();
    assert_eq!(left(), 1);
    writing.abort();
    let begun = std::time::Instant::now();
    while left() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_is_told_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = SshServer::start(&directory.path().join("ssh")) else {
        return;
    };
    let address = server.address(server.port(), &directory.path().join("root"));
    let said = async || {
        let store = open(&address, server.variables());
        let error = store
            .objects()
            .get(&Path::from("config"))
            .await
            .unwrap_err();
        copal_storage::Error::new(store.location(), "read", "config", error).to_string()
    };
    server.forget();
    let unknown = said().await;
    assert!(
        unknown.contains("the key of this host is not known"),
        "{unknown}"
    );
    assert!(
        unknown.contains(&format!("ssh-keyscan -p {} 127.0.0.1 >>", server.port())),
        "{unknown}"
    );
    server.know("stranger");
    let changed = said().await;
    assert!(
        changed.contains("another than the one in ~/.ssh/known_hosts"),
        "{changed}"
    );
    server.know("host");
    server.use_key("stranger");
    let refused = said().await;
    assert!(
        refused.contains("does not let the user in") && refused.contains("Permission denied"),
        "{refused}"
    );
    server.use_key("user");
    assert!(said().await.contains("does not exist"));
    let store = open(&address, vec![("COPAL_SSH".into(), "/no/such/ssh".into())]);
    let error = store
        .objects()
        .get(&Path::from("config"))
        .await
        .unwrap_err();
    let missing = copal_storage::Error::new(store.location(), "read", "config", error).to_string();
    assert!(
        missing.contains("/no/such/ssh") && missing.contains("openssh-client"),
        "{missing}"
    );
}

#[test]
fn clouds_are_object_stores() {
    // The servers bring runtimes of their own, which can't begin within another.
    let runtime = Runtime::new().unwrap();
    let holds = |store: Store| runtime.block_on(holds(&store));
    let directory = tempfile::tempdir().unwrap();
    let s3 = S3Server::start(&directory.path().join("s3"));
    holds(open("s3://backups/a/b", s3.variables()));
    let b2 = B2Account::start(&directory.path().join("b2"));
    holds(open("b2://backups/a/b", b2.variables()));
    if let Some(azurite) = Azurite::start(&directory.path().join("azure")) {
        holds(open("az://backups/a/b", azurite.variables()));
    }
}

/// Set to have every request go wrong in turn, rather than one of some.
const THOROUGH: &str = "COPAL_TEST_FAULTS";

#[test]
fn a_request_that_goes_wrong_once_is_no_end() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let server = S3Server::start(directory.path());
    let proxy = Proxy::to(server.port());
    let stride = match std::env::var_os(THOROUGH) {
        Some(_) => 1,
        None => 6,
    };
    let troubles = [
        Trouble::Refused,
        Trouble::Denied,
        Trouble::Unanswered,
        Trouble::Halved,
        Trouble::Silence,
    ];
    for (offset, trouble) in troubles.into_iter().enumerate() {
        let begun = std::time::Instant::now();
        let mut tried = 0;
        for after in (offset..).step_by(stride) {
            proxy.plan(after, trouble);
            let options = Options {
                variables: server.variables_at(proxy.port()),
                timeout: Duration::from_secs(1),
                ..Options::default()
            };
            let address = format!("s3://backups/{offset}/{after}");
            runtime.block_on(holds(&open_with(&address, &options).unwrap()));
            if !proxy.hit() {
                break;
            }
            tried += 1;
        }
        let took = begun.elapsed().as_secs_f64();
        println!("| {trouble:?} | {tried} | {took:.1} s |");
        assert!(tried > 2, "{trouble:?}: too few to prove anything");
    }
}
