//! Azure's Blob Storage on loopback: Azurite, as npm's package `azurite` brings it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::environment::TestEnvironment;
use crate::run::{Program, Running};
use crate::server::{free_port, wait_for};
use crate::{fetched, programs};

/// The last release that runs on Debian's Node.js.
const PACKAGE: &str = "azurite@3.35.0";

/// The account and the key that everyone uses with Azurite.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const CONTAINER: &str = "backups";

/// Makes a container, as Azure's own tools would: `node -e SCRIPT PORT ACCOUNT KEY CONTAINER`.
const MAKE_CONTAINER: &str = r#"
const [port, account, key, container] = process.argv.slice(1);
const path = `/${account}/${container}`;
const date = new Date().toUTCString(), version = "2021-08-06";
const text = ["PUT", "", "", "", "", "", "", "", "", "", "", "", `x-ms-date:${date}`, `x-ms-version:${version}`,
  `/${account}${path}`, "restype:container"].join("\n");
const signature = require("crypto").createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64");
const headers = {"x-ms-date": date, "x-ms-version": version, "content-length": 0,
  authorization: `SharedKey ${account}:${signature}`};
require("http").request({port, host: "127.0.0.1", method: "PUT", path: path + "?restype=container", headers}, answer => {
  answer.resume();
  process.exitCode = answer.statusCode == 201 ? 0 : 1;
}).end();
"#;

/// A server with one container, whose files lie in a directory. It ends when dropped.
#[derive(Debug)]
pub struct Azurite {
    #[expect(dead_code, reason = "ends when it is dropped")]
    server: Running,
    port: u16,
}

impl Azurite {
    /// Starts a server, or says why there can't be one and returns none.
    pub fn start(directory: &Path) -> Option<Self> {
        static HOMES: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let node = programs::require("node", "nodejs")?;
        let home = match HOMES.get_or_init(fetch) {
            Ok(home) => home,
            Err(problem) => {
                programs::missing(problem);
                return None;
            }
        };
        let port = free_port();
        let mut server = Program::new(&node)
            .arg(home.join("node_modules/azurite/dist/src/blob/main.js"))
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"])
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .arg("--location")
            .arg(directory)
            .start();
        wait_for(&mut server, port);
        Program::new(&node)
            .args([
                "-e",
                MAKE_CONTAINER,
                &port.to_string(),
                ACCOUNT,
                KEY,
                CONTAINER,
            ])
            .run()
            .succeeds();
        Some(Self { server, port })
    }

    /// The variables that reach this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://127.0.0.1:{}/{ACCOUNT}", self.port);
        let variables = [
            ("AZURE_STORAGE_ENDPOINT", endpoint.as_str()),
            ("AZURE_ALLOW_HTTP", "true"),
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
            ("AZURE_STORAGE_ACCOUNT_KEY", KEY),
        ];
        let variables = variables.into_iter();
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// An environment whose repository is on this server.
    pub fn environment(&self) -> TestEnvironment {
        TestEnvironment::new().at(
            &format!("az://{CONTAINER}/below/a/prefix"),
            self.variables(),
        )
    }
}

fn fetch() -> Result<PathBuf, String> {
    fetched::folder(&PACKAGE.replace('@', "-"), |folder| {
        let npm = programs::find("npm").ok_or("npm is not installed (Debian package npm)")?;
        let install = [
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--omit=optional",
            "--prefix",
            ".",
            PACKAGE,
        ];
        fetched::run(PACKAGE, Command::new(npm).args(install), folder).map(drop)
    })
}
