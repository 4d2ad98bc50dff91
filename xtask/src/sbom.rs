//! `cargo xtask sbom`: a bill of materials of the binary, in [CycloneDX](https://cyclonedx.org/docs/1.5/json/) 1.5.
//!
//! cargo itself says what is linked: `cargo tree` chooses features as `cargo install --path host/cli` does. The document says nothing of when and
//! where it was made, so that the same sources give the same one.

mod document;
mod lock;
mod tree;

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::{command, plugins, workspace};
use document::{Bill, Plugin};
use lock::Checksums;
use tree::Tree;

/// The crate of the binary.
const BINARY: &str = "copal";

/// `cargo xtask sbom [--target TRIPLE] [--out FILE]`
pub(crate) fn task(arguments: &[String]) -> Result<()> {
    let mut target = None;
    let mut out = workspace::target().join("copal.cdx.json");
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.with_context(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--target" => target = Some(value()?.clone()),
            "--out" => out = std::path::absolute(value()?)?,
            other => bail!("unknown argument `{other}`"),
        }
    }
    plugins::build(false, None)?;
    command::stage("Writing the bill of materials", || {
        let target = match target {
            Some(target) => target,
            None => rustc("host")?,
        };
        let bill = bill(&target)?;
        let mut json = serde_json::to_vec_pretty(&bill.document())?;
        json.push(b'\n');
        workspace::write_atomically(&out, &json)?;
        command::say(&format!(
            "{}: {} crates and {} plugins",
            workspace::shown(&out),
            bill.crates(),
            bill.plugins()
        ));
        Ok(())
    })
}

/// All that is in the binary for a target, and in the plugins in `target/plugins`, which it embeds.
fn bill(target: &str) -> Result<Bill> {
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock"))?;
    let checksums = Checksums::read(&lock)?;
    let linked = Tree::of(BINARY, target, tree::Which::Linked)?;
    let all = Tree::of(BINARY, target, tree::Which::All)?;
    let mut bill = Bill::new(target, rustc("release")?, &linked, &all, &checksums)?;
    for guest in plugins::first_party()? {
        let component = workspace::target().join(format!("plugins/{}.wasm", guest.name));
        let component = fs::read(&component)
            .with_context(|| format!("cannot read {}", workspace::shown(&component)))?;
        let plugin = Plugin {
            name: guest.name,
            sha256: hexadecimal(&Sha256::digest(&component)),
            linked: Tree::of(&guest.package, plugins::TRIPLE, tree::Which::Linked)?,
            all: Tree::of(&guest.package, plugins::TRIPLE, tree::Which::All)?,
        };
        bill.add_plugin(&plugin, &checksums)?;
    }
    Ok(bill)
}

/// What rustc says of itself by this name: `host` is the target that is compiled for where none is named, `release` the version, whose standard
/// library is linked too.
fn rustc(name: &str) -> Result<String> {
    let mut rustc = Command::new("rustc");
    let said = command::output(rustc.arg("-vV").current_dir(workspace::root()))?;
    let mut lines = said.lines().filter_map(|line| line.split_once(": "));
    let (_, value) = lines
        .find(|(key, _)| *key == name)
        .with_context(|| format!("rustc names no {name}"))?;
    Ok(value.to_owned())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
