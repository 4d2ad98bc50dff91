//! Components: made of core modules, and looked at.

use wit_component::{ComponentEncoder, DecodedWasm};

/// The package of the contract, without its version.
pub const CONTRACT: &str = "copal:plugin";

/// The interfaces that every plugin exports.
const EXPORTS: [&str; 2] = ["copal:plugin/app", "copal:plugin/transform"];

/// What a component imports and exports, as it spells it itself: `copal:plugin/app@0.1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interfaces {
    /// What it has to be given.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
}

impl Interfaces {
    /// Reads them from a component, which is validated. The error says what is wrong with it.
    pub fn of(component: &[u8]) -> Result<Self, String> {
        let decoded = wit_component::decode(component).map_err(|error| format!("{error:#}"))?;
        let DecodedWasm::Component(resolve, world) = decoded else {
            return Err("it is a WIT package, not a component".to_owned());
        };
        let world = resolve
            .worlds
            .get(world)
            .ok_or("the component has no world")?;
        let names = |keys: Vec<_>| {
            keys.into_iter()
                .map(|key| resolve.name_world_key(key))
                .collect()
        };
        Ok(Self {
            imports: names(world.imports.keys().collect()),
            exports: names(world.exports.keys().collect()),
        })
    }

    /// The interface that every plugin exports and this component does not.
    pub fn missing_export(&self) -> Option<&'static str> {
        let exported = |wanted: &str| {
            let mut names = self.exports.iter().map(|export| bare(export));
            names.any(|name| name == wanted)
        };
        EXPORTS.into_iter().find(|wanted| !exported(wanted))
    }

    /// The first import that is not the contract's.
    pub fn foreign_import(&self) -> Option<&str> {
        let of_the_contract = |import: &str| {
            let rest = import.strip_prefix(CONTRACT);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let mut imports = self.imports.iter().map(String::as_str);
        imports.find(|import| !of_the_contract(import))
    }
}

/// The interface's name without a version.
fn bare(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// Whether the bytes are a component rather than a core module: the header says so.
pub fn is_component(wasm: &[u8]) -> bool {
    wasm.get(4..8) == Some(&[0x0d, 0, 1, 0])
}

/// Wraps a core module in a validated component; leaves a component as it is. The error says what is wrong with the module.
pub fn encode(wasm: Vec<u8>) -> Result<Vec<u8>, String> {
    if is_component(&wasm) {
        return Ok(wasm);
    }
    ComponentEncoder::default()
        .module(&wasm)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(imports: &[&str], exports: &[&str]) -> Interfaces {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Interfaces {
            imports: owned(imports),
            exports: owned(exports),
        }
    }

    #[test]
    fn a_plugin_exports_both_interfaces_of_whatever_version() {
        let both = ["copal:plugin/app@0.1.0", "copal:plugin/transform@0.2.0"];
        assert_eq!(interfaces(&[], &both).missing_export(), None);
        for (exports, missing) in [
            (&both[..1], "copal:plugin/transform"),
            (&both[1..], "copal:plugin/app"),
            (&["copal:plugin/application@0.1.0"], "copal:plugin/app"),
            (&[], "copal:plugin/app"),
        ] {
            assert_eq!(interfaces(&[], exports).missing_export(), Some(missing));
        }
    }

    #[test]
    fn an_import_of_another_package_is_named() {
        for (import, foreign) in [
            ("copal:plugin/log@0.1.0", false),
            ("copal:plugins/log@0.1.0", true),
            ("wasi:cli/environment@0.2.6", true),
            ("plain", true),
        ] {
            let found = interfaces(&["copal:plugin/tree@0.1.0", import], &[]);
            assert_eq!(found.foreign_import(), foreign.then_some(import));
        }
    }

    #[test]
    fn a_module_that_says_nothing_of_the_contract_has_no_plugin_in_it() {
        let module = b"\0asm\x01\0\0\0".to_vec();
        assert!(!is_component(&module));
        let component = encode(module).unwrap();
        assert!(is_component(&component));
        let found = Interfaces::of(&component).unwrap();
        assert_eq!(found.missing_export(), Some("copal:plugin/app"));
        assert_eq!(encode(component.clone()).unwrap(), component);
    }

    #[test]
    fn bytes_that_are_no_wasm_are_refused() {
        for bytes in [
            &b""[..],
            b"text",
            b"\0asm\x01\0\0\0\xff",
            b"\0asm\x0d\0\x01\0\xff",
        ] {
            let encoded = encode(bytes.to_vec());
            assert!(
                encoded.and_then(|bytes| Interfaces::of(&bytes)).is_err(),
                "{bytes:?}"
            );
        }
    }
}
