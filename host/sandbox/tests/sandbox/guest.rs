//! Guests for tests: small components made from WebAssembly text, so that no compiler for wasm is needed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use copal_sandbox::types::{Command, Entry, Failure, FailureKind, Kind, Output, Owner, Timestamp};
use copal_sandbox::{Engine, EngineOptions, Plugin, Probe};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The functions that a plugin exports, with their core signatures by the canonical ABI.
const EXPORTS: [(&str, &str); 12] = [
    ("app@0.1.0#describe", "(result i32)"),
    ("app@0.1.0#detect", "(param i32) (result i32)"),
    (
        "app@0.1.0#plan-backup",
        "(param i32 i32 i32 i32 i64 i32) (result i32)",
    ),
    (
        "app@0.1.0#plan-restore",
        "(param i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32) (result i32)",
    ),
    (
        "app@0.1.0#verify",
        "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)",
    ),
    (
        "transform@0.1.0#[static]pass.start",
        "(param i32 i32 i32) (result i32)",
    ),
    (
        "transform@0.1.0#[method]pass.classify",
        "(param i32 i32 i32 i32 i32) (result i32)",
    ),
    (
        "transform@0.1.0#[method]pass.open",
        "(param i32) (result i32)",
    ),
    (
        "transform@0.1.0#[method]pass.finish",
        "(param i32) (result i32)",
    ),
    (
        "transform@0.1.0#[method]filter.push",
        "(param i32 i32 i32) (result i32)",
    ),
    (
        "transform@0.1.0#[method]filter.finish",
        "(param i32) (result i32)",
    ),
    (
        "transform@0.1.0#[method]filter.members",
        "(param i32) (result i32)",
    ),
];

/// A plugin `test/guest` whose functions trap unless they are given a body.
///
/// Addresses in its memory: 0 to 1023 constant text, 1024 the answer of `describe`, 2048 room for other answers, from 4096 on what the
/// host passes.
#[derive(Default)]
pub(crate) struct Guest {
    /// WIT packages besides the contract's.
    pub(crate) packages: &'static str,
    /// Imports of its world besides the contract's.
    pub(crate) world: &'static str,
    /// WebAssembly text of the module's imports, which come first, and of helper functions.
    pub(crate) imports: &'static str,
    pub(crate) helpers: &'static str,
    /// Bodies of exported functions, by the end of their name.
    pub(crate) bodies: Vec<(&'static str, &'static str)>,
}

impl Guest {
    pub(crate) fn new(bodies: &[(&'static str, &'static str)]) -> Self {
        Self {
            bodies: bodies.to_vec(),
            ..Self::default()
        }
    }

    /// The component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        resolve
            .push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"))
            .unwrap();
        let world = format!(
            "package test:guest;\n{}\nworld guest {{ include copal:plugin/plugin@0.1.0; {} }}",
            self.packages, self.world
        );
        let package = resolve.push_str("guest.wit", &world).unwrap();
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        let mut module = wat::parse_str(self.module()).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        ComponentEncoder::default()
            .module(&module)
            .unwrap()
            .encode()
            .unwrap()
    }

    fn module(&self) -> String {
        let exports: String = EXPORTS
            .iter()
            .map(|(name, signature)| {
                let given = self.bodies.iter().find(|(end, _)| name.ends_with(end));
                let default = match *name {
                    "app@0.1.0#describe" => "(i32.const 1024)",
                    // An empty list.
                    "transform@0.1.0#[method]filter.members" => "(i32.const 3072)",
                    _ => "unreachable",
                };
                let body = given.map_or(default, |(_, body)| body);
                format!(r#"(func (export "copal:plugin/{name}") {signature} {body})"#)
            })
            .collect();
        // What `describe` answers: (address, length) of each text or list.
        let mut description = vec![];
        for word in [0_u32, 10, 10, 5, 0, 10, 0, 0, 0, 16, 2, 0, 0, 0, 0, 18, 1] {
            description.extend(word.to_le_bytes().map(|byte| format!("\\{byte:02x}")));
        }
        format!(
            r#"(module
                {imports}
                (import "[export]copal:plugin/transform@0.1.0" "[resource-new]pass" (func $new_pass (param i32) (result i32)))
                (import "[export]copal:plugin/transform@0.1.0" "[resource-new]filter" (func $new_filter (param i32) (result i32)))
                (memory (export "memory") 1)
                (global $heap (mut i32) (i32.const 4096))
                (data (i32.const 0) "test/guest0.1.0\00{{}}\00")
                (data (i32.const 1024) "{description}")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local i32)
                    (local.set 4 (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                    (global.set $heap (i32.add (local.get 4) (local.get 3)))
                    (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                        (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get 3) (i32.const 16)))))))
                    (local.get 4))
                {helpers}
                {exports}
            )"#,
            imports = self.imports,
            helpers = self.helpers,
            description = description.concat(),
        )
    }

    /// The component, loaded with little memory and time.
    pub(crate) fn load(&self) -> Plugin {
        engine().load(&self.component()).unwrap()
    }
}

/// A component with further core instances, each of a module that has so many globals.
pub(crate) fn with_instances(component: &[u8], instances: u32, globals: u32) -> Vec<u8> {
    let mut component = component.to_vec();
    let module = module(globals);
    let index = u8::try_from(modules(&component)).unwrap();
    section(&mut component, 1, &module);
    let mut instantiate = leb(instances);
    // Of the module, with no arguments.
    (0..instances).for_each(|_| instantiate.extend([0, index, 0]));
    section(&mut component, 2, &instantiate);
    component
}

/// A core module with so many globals.
fn module(globals: u32) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let mut all = leb(globals);
    // `(global i64 (i64.const 0))`
    (0..globals).for_each(|_| all.extend([0x7e, 0, 0x42, 0, 0x0b]));
    section(&mut module, 6, &all);
    module
}

/// How many core modules a component itself has.
fn modules(component: &[u8]) -> usize {
    let mut rest = &component[8..];
    let mut modules = 0;
    while let [id, after @ ..] = rest {
        let bytes = after.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let size = after[..bytes].iter().rev();
        let size = size.fold(0, |size, byte| (size << 7) | usize::from(byte & 0x7f));
        modules += usize::from(*id == 1);
        rest = &after[bytes + size..];
    }
    modules
}

fn section(to: &mut Vec<u8>, id: u8, content: &[u8]) {
    to.push(id);
    to.extend(leb(u32::try_from(content.len()).unwrap()));
    to.extend(content);
}

/// A number in LEB128.
fn leb(mut number: u32) -> Vec<u8> {
    let mut bytes = vec![];
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Bodies of a plugin whose filter hands back what it is given.
pub(crate) const ECHO: [(&str, &str); 5] = [
    (
        "pass.start",
        "(i32.store (i32.const 2048) (i32.const 0)) (i32.store (i32.const 2052) (call $new_pass (i32.const 1))) (i32.const 2048)",
    ),
    (
        "pass.open",
        "(i32.store (i32.const 2048) (i32.const 0)) (i32.store (i32.const 2052) (call $new_filter (i32.const 1))) (i32.const 2048)",
    ),
    (
        "filter.push",
        "(global.set $heap (i32.const 4096))
         (i32.store (i32.const 2048) (i32.const 0))
         (i32.store (i32.const 2052) (local.get 1))
         (i32.store (i32.const 2056) (local.get 2))
         (i32.const 2048)",
    ),
    (
        "filter.finish",
        "(i64.store (i32.const 2048) (i64.const 0)) (i32.store (i32.const 2056) (i32.const 0)) (i32.const 2048)",
    ),
    (
        "pass.finish",
        "(i64.store (i32.const 2048) (i64.const 0)) (i32.store (i32.const 2056) (i32.const 0)) (i32.const 2048)",
    ),
];

/// An engine that gives 32 MiB and a second.
pub(crate) fn engine() -> Engine {
    Engine::new(EngineOptions {
        cache: None,
        memory_limit: 32 << 20,
        call_deadline: Duration::from_secs(1),
        look_deadline: Duration::from_secs(3),
    })
    .unwrap()
}

/// Refuses every probe.
pub(crate) struct NoProbe;

impl Probe for NoProbe {
    fn run(&self, _: &Command) -> Result<Output, Failure> {
        Err(Failure::new(
            FailureKind::Denied,
            "test.denied",
            "no probes",
        ))
    }
}

pub(crate) fn no_probe() -> Arc<dyn Probe> {
    Arc::new(NoProbe)
}

/// An entry of a file.
pub(crate) fn file(path: &str) -> Entry {
    Entry {
        path: path.to_owned(),
        kind: Kind::File,
        size: 1,
        mode: 0o644,
        owner: Owner::default(),
        modified: Timestamp::default(),
        link_target: None,
    }
}
