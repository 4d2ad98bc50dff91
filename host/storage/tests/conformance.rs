//! Stores of Copal's own, and those of others as Copal sets them up, against real servers: with the suite that `object_store` holds its own
//! to, and where the line breaks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use copal_storage::object_store::path::Path;
use copal_storage::object_store::{ObjectStoreExt as _, integration};
use copal_storage::{Options, Store, open_with};
use copal_tests::sample;
use copal_tests::slow::{Line, SlowLine};
use copal_tests::ssh::SshServer;
use copal_tests::webdav::WebDavServer;

fn open(address: &str, variables: Vec<(String, String)>) -> Store {
    let options = Options {
        variables,
        ..Options::default()
    };
    open_with(address, &options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_is_an_object_store() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = SshServer::start(&directory.path().join("ssh")) else {
        return;
    };
    let root = directory.path().join("not/yet there");
    let store = open(&server.address(server.port(), &root), server.variables());
    let objects = &**store.objects();
    integration::put_get_delete_list(objects).await;
    integration::get_opts(objects).await;
    integration::put_opts(objects, false).await;
    integration::list_uses_directories_correctly(objects).await;
    integration::list_with_delimiter(objects).await;
    integration::rename_and_copy(objects).await;
    integration::copy_if_not_exists(objects).await;
    integration::copy_rename_nonexistent_object(objects).await;
    integration::list_with_offset_exclusivity(objects).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webdav_is_an_object_store() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = WebDavServer::start(directory.path()) else {
        return;
    };
    let store = open(&server.address("below/a"), Vec::new());
    let objects = &**store.objects();
    integration::put_get_delete_list(objects).await;
    integration::list_uses_directories_correctly(objects).await;
    integration::list_with_delimiter(objects).await;
    integration::rename_and_copy(objects).await;
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
        let puts = (0..16).map(|number| {
            let objects = store.objects().clone();
            let name = Path::from(format!("data/{:02x}/{number}", number / 2));
            tokio::spawn(async move { objects.put(&name, "x".into()).await })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_made_again_and_nothing_half_written_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut server) = SshServer::start(&directory.path().join("ssh")) else {
        return;
    };
    let line = SlowLine::to(
        server.port(),
        Line {
            round_trip: Duration::from_millis(10),
            bytes_per_second: 8 << 20,
        },
    );
    let root = directory.path().join("root");
    // The key of the server is known for its own port.
    let place = server.address(line.port(), &root);
    server.know_at(line.port());
    let store = open(&place, server.variables());
    let name = Path::from("data/aa/noise");
    let noise = sample::noise(1, 12 << 20);
    let objects = store.objects().clone();
    let writing = tokio::spawn({
        let (name, noise) = (name.clone(), noise.clone());
        async move { objects.put(&name, noise.into()).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(line.traffic().up > 1 << 20, "{:?}", line.traffic());
    line.cut();
    writing.await.unwrap().unwrap();
    assert_eq!(std::fs::read(root.join("data/aa/noise")).unwrap(), noise);
    // What the first connection left is no object.
    use futures::TryStreamExt as _;
    let listed: Vec<_> = store.objects().list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");

    let objects = store.objects().clone();
    let reading = tokio::spawn({
        let name = name.clone();
        async move { objects.get(&name).await?.bytes().await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    // With the server gone for a while.
    server.stop();
    line.cut();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.resume();
    assert_eq!(reading.await.unwrap().unwrap(), noise);
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
