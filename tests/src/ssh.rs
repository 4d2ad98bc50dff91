//! A real server of SFTP on loopback: OpenSSH's sshd with keys and configuration of its own.

use std::path::{Path, PathBuf};

use crate::environment::TestEnvironment;
use crate::programs;
use crate::run::{Program, Running};
use crate::server::{free_port, wait_for};

/// A server that lets the user of the tests in by a key of its own, and ends when dropped.
#[derive(Debug)]
pub struct SshServer {
    directory: PathBuf,
    port: u16,
    sshd: PathBuf,
    server: Option<Running>,
}

impl SshServer {
    /// Starts a server whose files lie in `directory`, or says what is missing and returns none.
    pub fn start(directory: &Path) -> Option<Self> {
        let sshd = programs::require("sshd", "openssh-server")?;
        programs::require("ssh", "openssh-client")?;
        std::fs::create_dir_all(directory).unwrap();
        let mut started = Self {
            directory: directory.to_owned(),
            port: free_port(),
            sshd,
            server: None,
        };
        for key in ["host", "user", "stranger"] {
            started.make_key(key);
        }
        std::fs::copy(started.path("user.pub"), started.path("authorized_keys")).unwrap();
        if programs::is_root() {
            // Where its unprivileged part is shut in; Debian makes it when the service starts.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = started.port;
        let place = directory.to_str().unwrap();
        std::fs::write(
            started.path("sshd_config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nPidFile none\nAuthorizedKeysFile {place}/authorized_keys\n\
                 StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n"
            ),
        )
        .unwrap();
        started.know("host");
        started.use_key("user");
        started.resume();
        Some(started)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn make_key(&self, name: &str) {
        Program::new("ssh-keygen")
            .env("PATH", programs::SYSTEM_PATH)
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(self.path(name))
            .run()
            .succeeds();
    }

    /// Has the client take the server's key for this one.
    pub fn know(&self, key: &str) {
        let key = std::fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        let line = format!("[127.0.0.1]:{} {key}", self.port);
        std::fs::write(self.path("known_hosts"), line).unwrap();
    }

    /// Has the client know the server by another port too.
    pub fn know_at(&self, port: u16) {
        let key = std::fs::read_to_string(self.path("host.pub")).unwrap();
        let known = std::fs::read_to_string(self.path("known_hosts")).unwrap();
        std::fs::write(
            self.path("known_hosts"),
            format!("{known}[127.0.0.1]:{port} {key}"),
        )
        .unwrap();
    }

    /// Has the client know no server.
    pub fn forget(&self) {
        std::fs::write(self.path("known_hosts"), "").unwrap();
    }

    /// Has the client use this key. Its own configuration would add unknown hosts, if Copal let it.
    pub fn use_key(&self, key: &str) {
        let place = self.directory.to_str().unwrap();
        let text = format!(
            "Host *\n  IdentityFile {place}/{key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {place}/known_hosts\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking accept-new\n"
        );
        std::fs::write(self.path("ssh_config"), text).unwrap();
    }

    /// Ends the server with all its connections.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again.
    pub fn resume(&mut self) {
        let mut server = Program::new(&self.sshd)
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .start();
        wait_for(&mut server, self.port);
        self.server = Some(server);
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a directory, as seen through `port`.
    pub fn address(&self, port: u16, directory: &Path) -> String {
        format!("sftp://127.0.0.1:{port}{}", directory.display())
    }

    /// The variables that reach this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        let config = self.path("ssh_config");
        let command = format!("ssh -F {}", config.display());
        vec![("COPAL_SSH".to_owned(), command)]
    }

    /// An environment whose repository is `directory`, reached through this server.
    pub fn environment(&self, directory: &Path) -> TestEnvironment {
        TestEnvironment::new().at(&self.address(self.port, directory), self.variables())
    }
}
