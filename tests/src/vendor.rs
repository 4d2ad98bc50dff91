//! A vendor of plugins: keys, a publisher's document, and releases of one plugin in any version.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::environment::TestEnvironment;
use crate::plugins;

/// What the block of the guest `release` begins with.
const MARK: &[u8] = b"@release-block@ ";
/// Bytes of the block.
const BLOCK: usize = 1024;

/// What a release may ask for, with the reasons.
pub type Capabilities<'a> = &'a [(&'a str, &'a str)];

/// Stopping and starting a container.
pub const CONTAINERS: Capabilities<'_> = &[
    ("run:docker stop *", "The notebook must hold still."),
    ("run:docker start *", "It goes on afterwards."),
];

/// A component of that name and version that may ask for that.
pub fn component(name: &str, version: &str, capabilities: Capabilities<'_>) -> Vec<u8> {
    let mut bytes = std::fs::read(plugins::guest("release")).unwrap();
    let says = json!({"name": name, "version": version, "capabilities": capabilities}).to_string();
    let mut blocks = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(MARK));
    let start = blocks.next().expect("the guest has its block") + MARK.len();
    assert_eq!(blocks.next(), None, "the guest has one block");
    let block = &mut bytes[start..start - MARK.len() + BLOCK];
    block.fill(b' ');
    block[..says.len()].copy_from_slice(says.as_bytes());
    bytes
}

/// A vendor with a folder of its own in a test's world.
#[derive(Debug)]
pub struct Vendor<'a> {
    environment: &'a TestEnvironment,
    name: &'static str,
}

impl<'a> Vendor<'a> {
    /// A vendor of that name with one key, and a signed document of version 1.
    pub fn new(environment: &'a TestEnvironment, name: &'static str) -> Self {
        let vendor = Self::without_document(environment, name);
        vendor.document("--key KEY.pub", &["key"]);
        vendor
    }

    /// A vendor of that name with one key.
    pub fn without_document(environment: &'a TestEnvironment, name: &'static str) -> Self {
        environment.make_directory(&format!("vendors/{name}"));
        let vendor = Self { environment, name };
        vendor.key("key");
        vendor
    }

    /// The test's world.
    pub fn environment(&self) -> &'a TestEnvironment {
        self.environment
    }

    /// A path in the vendor's folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.environment
            .path(format!("vendors/{}", self.name))
            .join(relative)
    }

    /// Makes a further key.
    pub fn key(&self, name: &str) {
        let key = self.path(name);
        let program = self
            .environment
            .copal(["plugin", "keygen", "--no-password"]);
        program.arg(key).run().succeeds();
    }

    /// Makes the next version of the vendor's document, signed by these keys; `KEY` in the arguments stands for the vendor's folder and `key`.
    pub fn document(&self, arguments: &str, keys: &[&str]) -> Value {
        let file = self.path("publisher.json");
        let program = self.environment.copal(["plugin", "publisher", "--json"]);
        let program = program.arg(&file).args(["--name", self.name]);
        let folder = self.path("key").to_str().unwrap().to_owned();
        let made = program.args(crate::run::words(&arguments.replace("KEY", &folder)));
        let made = made.run().succeeds().json();
        keys.iter().for_each(|key| self.sign(&file, key));
        made
    }

    /// Signs a file.
    pub fn sign(&self, file: &Path, key: &str) {
        let program = self.environment.copal(["plugin", "sign"]);
        let key = self.path(&format!("{key}.key"));
        program.arg("--key").arg(key).arg(file).run().succeeds();
    }

    /// The fingerprint of the document.
    pub fn fingerprint(&self) -> String {
        let bytes = std::fs::read(self.path("publisher.json")).unwrap();
        sha256(&bytes)
    }

    /// A signed release in a folder of the vendor's.
    pub fn release(&self, version: &str, capabilities: Capabilities<'_>) -> PathBuf {
        self.release_of(
            &format!("{}/notebook", self.name),
            version,
            capabilities,
            &["key"],
        )
    }

    /// A release of a plugin of any name, signed by these keys.
    pub fn release_of(
        &self,
        name: &str,
        version: &str,
        capabilities: Capabilities<'_>,
        keys: &[&str],
    ) -> PathBuf {
        let component = component(name, version, capabilities);
        self.pack(&component, &format!("release-{version}"), keys)
    }

    /// A release of any component in that folder, signed by these keys.
    pub fn pack(&self, component: &[u8], folder: &str, keys: &[&str]) -> PathBuf {
        let (file, folder) = (self.path("component.wasm"), self.path(folder));
        std::fs::write(&file, component).unwrap();
        let program = self
            .environment
            .copal(["plugin", "pack", "--license", "MIT"]);
        let program = program.arg(&file).arg("--to").arg(&folder);
        let mut program = program.arg("--publisher").arg(self.path("publisher.json"));
        for key in keys {
            program = program.arg("--key").arg(self.path(&format!("{key}.key")));
        }
        program.run().succeeds();
        folder
    }
}

/// A digest as hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The capability hash that a release folder states.
pub fn capability_hash(environment: &TestEnvironment, release: &Path) -> String {
    let program = environment.copal(["plugin", "verify", "--json"]);
    // Also of one that would be refused here, which is shown all the same.
    let verified = program.arg(release).run().json();
    verified["capability_hash"].as_str().unwrap().to_owned()
}
