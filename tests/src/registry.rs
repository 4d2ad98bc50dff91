//! A real OCI registry on loopback: Debian's docker-registry.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::programs;
use crate::run::{Program, Running};
use crate::server::free_port;

/// The one user of a registry that asks who is there.
pub const USER: &str = "copal-tests";
/// The user's password.
pub const PASSWORD: &str = "known to everyone";
/// The password as `htpasswd -B` writes it.
const HASH: &str = "$2b$04$K2eYXG5IUPSwnSxmdNVdMuIkMVDECuklnKGNYtr.uccLyVmir9zuW";

/// A registry that keeps its contents in a directory of its own and ends, and they with it, when dropped.
#[derive(Debug)]
pub struct Registry {
    #[expect(
        dead_code,
        reason = "ends, before the directory goes, when it is dropped"
    )]
    server: Running,
    #[expect(dead_code, reason = "goes when it is dropped")]
    directory: TempDir,
    host: String,
}

/// What a registry answers.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The lines of the head.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Registry {
    /// Starts a registry that lets everyone read and write, or says that docker-registry is missing and returns none.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// Starts a registry that lets nobody read or write but [`USER`].
    pub fn start_guarded() -> Option<Self> {
        Self::start_with(
            "auth:\n  htpasswd:\n    realm: copal-tests\n    path: DIRECTORY/htpasswd\n",
        )
    }

    fn start_with(more: &str) -> Option<Self> {
        let program = programs::require("docker-registry", "docker-registry")?;
        let directory = tempfile::Builder::new()
            .prefix("copal-registry-")
            .tempdir()
            .unwrap();
        std::fs::write(
            directory.path().join("htpasswd"),
            format!("{USER}:{HASH}\n"),
        )
        .unwrap();
        let host = format!("127.0.0.1:{}", free_port());
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: DIRECTORY/data\n  \
             delete:\n    enabled: true\nhttp:\n  addr: {host}\n{more}"
        );
        let path = directory.path().join("config.yml");
        let place = directory.path().to_str().unwrap();
        std::fs::write(&path, config.replace("DIRECTORY", place)).unwrap();
        let started = Self {
            server: serve(&program, &path),
            directory,
            host,
        };
        let answers = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            TcpStream::connect(&started.host).is_ok()
        });
        assert!(answers, "docker-registry does not start");
        Some(started)
    }

    /// The host and port, as they stand in `oci://HOST/…`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A manifest, by a tag or a digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Answer {
        self.ask(
            &format!("GET /v2/{repository}/manifests/{reference}"),
            "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json\r\n",
            b"",
        )
    }

    /// What has the digest `digest`.
    pub fn blob(&self, repository: &str, digest: &str) -> Answer {
        self.ask(&format!("GET /v2/{repository}/blobs/{digest}"), "", b"")
    }

    /// Puts a manifest under a tag or its digest, whatever it says; the registry must take it.
    #[track_caller]
    pub fn put_manifest(&self, repository: &str, reference: &str, kind: &str, manifest: &[u8]) {
        let what = format!("PUT /v2/{repository}/manifests/{reference}");
        let answer = self.ask(&what, &format!("Content-Type: {kind}\r\n"), manifest);
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 201, "{what}: {body}");
    }

    /// Puts a blob whose digest is `digest`.
    #[track_caller]
    pub fn put_blob(&self, repository: &str, digest: &str, blob: &[u8]) {
        let session = self.ask(&format!("POST /v2/{repository}/blobs/uploads/"), "", b"");
        let location = session.header("location").unwrap();
        let path = location.split_once(&self.host).unwrap().1;
        let what = format!("PUT {path}&digest={digest}");
        let kind = "Content-Type: application/octet-stream\r\n";
        assert_eq!(self.ask(&what, kind, blob).status, 201, "{what}");
    }

    fn ask(&self, what: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let length = body.len();
        write!(
            stream,
            "{what} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n",
            self.host
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = answer.split_off(end.unwrap() + 4);
        let head = String::from_utf8(answer).unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body,
        }
    }
}

impl Answer {
    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn serve(program: &Path, config: &Path) -> Running {
    Program::new(program).arg("serve").arg(config).start()
}
