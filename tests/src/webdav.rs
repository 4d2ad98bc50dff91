//! A real WebDAV server on loopback: `rclone serve webdav`.

use std::path::Path;

use crate::environment::TestEnvironment;
use crate::programs;
use crate::run::{Program, Running};
use crate::server::{free_port, wait_for};

const USER: &str = "copal@tests";
const PASSWORD: &str = "known to everyone";

/// A server whose folders are those of a directory. It ends when dropped.
#[derive(Debug)]
pub struct WebDavServer {
    #[expect(dead_code, reason = "ends when it is dropped")]
    server: Running,
    port: u16,
}

impl WebDavServer {
    /// Starts a server, or says that rclone is missing and returns none.
    pub fn start(directory: &Path) -> Option<Self> {
        Self::serve(directory, &["--user", USER, "--pass", PASSWORD])
    }

    /// The same without a password.
    pub fn open_to_all(directory: &Path) -> Option<Self> {
        Self::serve(directory, &[])
    }

    fn serve(directory: &Path, access: &[&str]) -> Option<Self> {
        let rclone = programs::require("rclone", "rclone")?;
        std::fs::create_dir_all(directory).unwrap();
        let port = free_port();
        let mut server = Program::new(rclone)
            .env("HOME", "/nonexistent")
            .args(["serve", "webdav", "--config", "", "--dir-cache-time", "0s"])
            .args(access)
            .arg(format!("--addr=127.0.0.1:{port}"))
            .arg(directory)
            .start();
        wait_for(&mut server, port);
        Some(Self { server, port })
    }

    /// The address of a folder, credentials included.
    pub fn address(&self, folder: &str) -> String {
        let user = USER.replace('@', "%40");
        let password = PASSWORD.replace(' ', "%20");
        format!("http://{user}:{password}@127.0.0.1:{}/{folder}", self.port)
    }

    /// The address of a file, for a server without a password.
    pub fn bare_address(&self, file: &str) -> String {
        format!("http://127.0.0.1:{}/{file}", self.port)
    }

    /// An environment whose repository is a folder that is not there yet.
    pub fn environment(&self) -> TestEnvironment {
        TestEnvironment::new().at(&self.address("below/a/folder"), Vec::new())
    }
}
