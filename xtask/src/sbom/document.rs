//! The document.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::lock::Checksums;
use super::tree::{Package, Tree};

/// A plugin that the binary embeds.
pub(super) struct Plugin {
    pub(super) name: String,
    /// Of the component.
    pub(super) sha256: String,
    pub(super) linked: Tree,
    pub(super) all: Tree,
}

/// All that is in a binary.
pub(super) struct Bill {
    target: String,
    compiler: String,
    root: Package,
    crates: BTreeMap<Package, Crate>,
    plugins: BTreeMap<String, Value>,
    /// What depends on what, by references.
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

struct Crate {
    licence: String,
    /// Of the archive that crates.io has; none for crates of the workspace.
    sha256: Option<String>,
    /// Whether it is in the binary or in a plugin, and not only in a macro that was run to compile them.
    linked: bool,
}

impl Bill {
    /// Begins with the binary for a target, of which `linked` is linked and `all` is linked or run while it is compiled.
    pub(super) fn new(
        target: &str,
        compiler: String,
        linked: &Tree,
        all: &Tree,
        checksums: &Checksums,
    ) -> Result<Self> {
        let mut bill = Self {
            target: target.to_owned(),
            compiler,
            root: linked.root.clone(),
            crates: BTreeMap::new(),
            plugins: BTreeMap::new(),
            dependencies: BTreeMap::new(),
        };
        bill.add(linked, all, checksums)?;
        Ok(bill)
    }

    pub(super) fn add_plugin(&mut self, plugin: &Plugin, checksums: &Checksums) -> Result<()> {
        self.add(&plugin.linked, &plugin.all, checksums)?;
        let root = &plugin.linked.root;
        let reference = format!("plugin:copal/{}@{}", plugin.name, root.version);
        let component = json!({
            "type": "application",
            "bom-ref": reference,
            "group": "copal",
            "name": plugin.name,
            "version": root.version,
            "description": "plugin: a WebAssembly component, embedded",
            "scope": "required",
            "hashes": hashes(&plugin.sha256),
        });
        self.plugins.insert(plugin.name.clone(), component);
        let own = self.dependencies.entry(self.root.purl()).or_default();
        own.insert(reference.clone());
        self.dependencies.insert(reference, [root.purl()].into());
        Ok(())
    }

    fn add(&mut self, linked: &Tree, all: &Tree, checksums: &Checksums) -> Result<()> {
        for (tree, in_binary) in [(linked, true), (all, false)] {
            for (package, (licence, needs)) in &tree.packages {
                let Package { name, version } = package;
                if licence.is_empty() {
                    return Err(anyhow::anyhow!("{name} {version} names no licence"));
                }
                let found = self.crates.entry(package.clone()).or_insert_with(|| Crate {
                    licence: expression(licence),
                    sha256: checksums.of(name, version).map(str::to_owned),
                    linked: false,
                });
                found.linked |= in_binary;
                let edges = self.dependencies.entry(package.purl()).or_default();
                edges.extend(needs.iter().map(Package::purl));
            }
        }
        let known = self.crates.get(&linked.root);
        known.map(|_| ()).context("the crate itself is missing")
    }

    pub(super) fn crates(&self) -> usize {
        self.crates.len()
    }

    pub(super) fn plugins(&self) -> usize {
        self.plugins.len()
    }

    /// The document as JSON.
    pub(super) fn document(&self) -> Value {
        let others = self
            .crates
            .iter()
            .filter(|(package, _)| **package != self.root);
        let crates = others.map(|(package, found)| component(package, found, "library"));
        let components: Vec<Value> = crates.chain(self.plugins.values().cloned()).collect();
        let root = self.crates.get(&self.root);
        let dependencies: Vec<Value> = self
            .dependencies
            .iter()
            .map(|(reference, needs)| json!({"ref": reference, "dependsOn": needs}))
            .collect();
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "tools": {"components": [
                    {"type": "application", "name": "cargo xtask sbom"},
                    {"type": "application", "name": "rustc", "version": self.compiler},
                ]},
                "component": root.map(|root| component(&self.root, root, "application")),
                "properties": [{"name": "copal:target", "value": self.target}],
            },
            "components": components,
            "dependencies": dependencies,
        })
    }
}

fn component(package: &Package, found: &Crate, kind: &str) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": package.purl(),
        "name": package.name,
        "version": package.version,
        "scope": match found.linked {
            true => "required",
            false => "excluded",
        },
        "licenses": [{"expression": found.licence}],
        "purl": package.purl(),
    });
    if let (Some(sha256), Some(component)) = (&found.sha256, component.as_object_mut()) {
        component.insert("hashes".to_owned(), hashes(sha256));
    }
    component
}

fn hashes(sha256: &str) -> Value {
    json!([{"alg": "SHA-256", "content": sha256}])
}

/// The licence as SPDX writes it: manifests used to have a slash for "or".
fn expression(licence: &str) -> String {
    let either: Vec<&str> = licence.split('/').map(str::trim).collect();
    either.join(" OR ")
}
