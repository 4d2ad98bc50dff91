//! What is loaded, what is refused, and in which words.

use crate::guest::{Guest, engine};
use copal_sandbox::types::Intent;
use copal_sandbox::{Engine, EngineOptions, Error};

fn refusal(bytes: &[u8]) -> Error {
    engine().load(bytes).err().unwrap()
}

#[test]
fn a_plugin_is_known_by_its_digest_imports_and_description() {
    let bytes = Guest::default().component();
    let plugin = engine().load(&bytes).unwrap();
    assert_eq!(plugin.bytes(), bytes);
    assert_eq!(plugin.digest().len(), 64);
    let imports: Vec<_> = plugin.imports().iter().map(String::as_str).collect();
    assert_eq!(
        imports,
        [
            "copal:plugin/types@0.1.0",
            "copal:plugin/tree@0.1.0",
            "copal:plugin/plan@0.1.0"
        ]
    );
    let description = plugin.describe().unwrap();
    assert_eq!(description.name, "test/guest");
    assert_eq!(description.version, "0.1.0");
    assert_eq!(description.intents, [Intent::Recover]);
}

#[test]
fn an_import_that_no_plugin_is_given_is_refused_by_name_before_anything_runs() {
    let guest = Guest {
        packages: "package evil:http@1.0.0 { interface fetch { go: func(); } }",
        world: "import evil:http/fetch@1.0.0;",
        imports: r#"(import "evil:http/fetch@1.0.0" "go" (func $go))"#,
        helpers: "(start $start) (func $start (loop (br 0)))",
        ..Guest::default()
    };
    let error = refusal(&guest.component());
    assert!(
        matches!(&error, Error::Denied { import } if import == "evil:http/fetch@1.0.0"),
        "{error}"
    );
    assert!(error.to_string().contains("evil:http/fetch@1.0.0"));
    assert!(error.advice().is_some() && error.author_advice().is_some());
}

#[test]
fn wasi_beyond_what_is_linked_is_refused() {
    let guest = Guest {
        packages: "package wasi:http@0.2.0 { interface outgoing-handler { handle: func(); } }",
        world: "import wasi:http/outgoing-handler@0.2.0;",
        imports: r#"(import "wasi:http/outgoing-handler@0.2.0" "handle" (func))"#,
        ..Guest::default()
    };
    let error = refusal(&guest.component());
    assert!(
        matches!(&error, Error::Denied { import } if import == "wasi:http/outgoing-handler@0.2.0"),
        "{error}"
    );
}

#[test]
fn a_wasi_function_of_another_shape_is_incompatible() {
    let guest = Guest {
        packages: "package wasi:cli@0.2.0 { interface environment { get-environment: func() -> u32; } }",
        world: "import wasi:cli/environment@0.2.0;",
        imports: r#"(import "wasi:cli/environment@0.2.0" "get-environment" (func (result i32)))"#,
        ..Guest::default()
    };
    let error = refusal(&guest.component());
    assert!(
        matches!(&error, Error::Incompatible(why) if why.contains("wasi:cli/environment")),
        "{error}"
    );
}

#[test]
fn a_component_that_is_no_plugin_is_incompatible() {
    let component = wat::parse_str("(component)").unwrap();
    let error = refusal(&component);
    assert!(
        matches!(&error, Error::Incompatible(why) if why.contains("copal:plugin/app@0.1.0")),
        "{error}"
    );
}

#[test]
fn another_version_of_the_contract_is_incompatible() {
    let component =
        wat::parse_str(r#"(component (import "copal:plugin/log@0.9.0" (instance)))"#).unwrap();
    let error = refusal(&component);
    assert!(
        matches!(&error, Error::Incompatible(why) if why.contains("`copal:plugin/log@0.9.0`") && why.contains("0.1")),
        "{error}"
    );
}

#[test]
fn what_is_no_component_is_invalid_and_named() {
    let component = Guest::default().component();
    for (bytes, what) in [
        (
            wat::parse_str("(module)").unwrap().as_slice(),
            "core WebAssembly module",
        ),
        (b"#!/bin/sh\n", "not WebAssembly"),
        (b"", "not WebAssembly"),
        (&component[..component.len() / 2], ""),
        (&component[..component.len() - 1], ""),
        (&component[..8], ""),
    ] {
        let error = refusal(bytes);
        match error {
            Error::Invalid(why) => assert!(why.contains(what), "{why}"),
            // The preamble alone is an empty component.
            Error::Incompatible(_) => assert_eq!(bytes.len(), 8),
            error => panic!("{error}"),
        }
    }
}

#[test]
fn a_giant_is_refused_unread() {
    let mut giant = b"\0asm\x0d\0\x01\0".to_vec();
    giant.resize((128 << 20) + 1, 0);
    assert!(matches!(refusal(&giant), Error::Invalid(why) if why.contains("larger than")));
}

#[test]
fn compiled_code_is_kept_in_a_directory_of_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let temp = tempfile::tempdir().unwrap();
    let cache = temp.path().join("a/cache");
    let options = EngineOptions {
        cache: Some(cache.clone()),
        ..EngineOptions::default()
    };
    let bytes = Guest::default().component();
    for _ in 0..2 {
        Engine::new(options.clone())
            .unwrap()
            .load(&bytes)
            .unwrap()
            .describe()
            .unwrap();
    }
    let mode = std::fs::metadata(&cache).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(std::fs::read_dir(&cache).unwrap().next().is_some());

    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Engine::new(options).err().unwrap().to_string();
    assert!(error.contains("others can write to it"), "{error}");
}
