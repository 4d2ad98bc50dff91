//! Plugins that nobody vouches for.

use copal_trust::{Bundle, COMPONENT, Candidate, Described, Refusal, STATEMENT, Terms};

use crate::world::{
    World, capability, component, described, kind, name, release, statement, terms, with,
};

const NAME: &str = "beta/draft";

fn bare(text: &str) -> Bundle {
    let mut bundle = Bundle::default();
    bundle.insert(COMPONENT, component(text)).unwrap();
    bundle
}

fn says(name: &str, version: &str) -> Described {
    Described {
        name: name.into(),
        version: version.into(),
        imports: vec!["wasi:io/poll@0.2.0".into()],
        capabilities: vec![capability("run:docker stop *")],
    }
}

fn allowing(described: &Described) -> Terms {
    Terms {
        unsigned: Some(described.clone()),
        ..terms()
    }
}

fn check(world: &World, bundle: &Bundle, described: &Described) -> Result<Candidate, Refusal> {
    world.store.check(bundle, &allowing(described))
}

fn install(world: &World, bundle: &Bundle, described: &Described) -> copal_trust::Installation {
    let candidate = check(world, bundle, described).unwrap();
    let hash = candidate.capability_hash.clone();
    let confirmed = candidate.confirm(described).unwrap();
    world
        .store
        .install(&confirmed, Some(&hash), "a file")
        .unwrap()
}

#[test]
fn an_unsigned_plugin_is_installed_only_when_that_is_said() {
    let world = World::new();
    let (bundle, described) = (bare("draft"), says(NAME, "0.1.0"));
    assert_eq!(world.refusal(&bundle), "plugin-without-statement");
    let candidate = check(&world, &bundle, &described).unwrap();
    assert!(candidate.unsigned && candidate.statement.is_none() && candidate.needs_approval());
    install(&world, &bundle, &described);
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    assert!(installed.unsigned);
    assert_eq!(
        installed.capabilities,
        ["grant run:docker stop *", "import wasi:io/poll@0.2.0"]
    );
    assert_eq!(installed.statement().unwrap(), None);
    assert_eq!(installed.bundle().unwrap(), bundle);
}

#[test]
fn a_statement_without_signature_still_binds_the_component() {
    let world = World::new();
    let component = component("draft");
    let statement = statement(NAME, "0.1.0", &component);
    let (bundle, described) = (release(&statement, &component, &[]), described(&statement));
    assert_eq!(world.refusal(&bundle), "plugin-unsigned");
    assert!(check(&world, &bundle, &described).unwrap().unsigned);
    let tampered = with(&bundle, COMPONENT, Some(&crate::world::component("other")));
    assert_eq!(
        kind(check(&world, &tampered, &described)),
        "plugin-tampered"
    );
    let mut lying = described.clone();
    lying.capabilities.clear();
    let candidate = check(&world, &bundle, &described).unwrap();
    assert_eq!(kind(candidate.confirm(&lying)), "plugin-statement-differs");
    install(&world, &bundle, &described);
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    assert_eq!(installed.statement().unwrap(), Some(statement));
}

#[test]
fn no_unsigned_plugin_uses_the_name_of_a_publisher_that_is_known() {
    let world = World::new();
    for (name, expected) in [
        ("acme/notebook", "plugin-unsigned-publisher"),
        ("acme/other", "plugin-unsigned-publisher"),
        ("copal/files", "plugin-reserved"),
        ("../escape", "plugin-name"),
        ("\u{1b}[2J/x", "plugin-name"),
    ] {
        let checked = check(&world, &bare("draft"), &says(name, "1.0.0"));
        assert_eq!(kind(checked), expected, "{name}");
    }
    // A signed release from which everything but the component was taken.
    let (statement, bundle) = world.release("1.0.0");
    let described = described(&statement);
    let stripped = with(&bundle, STATEMENT, None);
    assert_eq!(
        kind(check(&world, &stripped, &described)),
        "plugin-without-statement"
    );
    let stripped = with(&stripped, "release.json.minisig", None);
    assert_eq!(
        kind(check(&world, &stripped, &described)),
        "plugin-unsigned-publisher"
    );
    let stripped = with(&bundle, "release.json.minisig", None);
    assert_eq!(
        kind(check(&world, &stripped, &described)),
        "plugin-unsigned-publisher"
    );
}

#[test]
fn allowing_unsigned_plugins_makes_no_signed_one_pass() {
    let world = World::new();
    let component = component("1");
    let statement = statement("beta/notebook", "1.0.0", &component);
    let stranger = crate::world::Signer::new();
    let bundle = release(&statement, &component, &[&stranger]);
    assert_eq!(
        kind(check(&world, &bundle, &described(&statement))),
        "publisher-unknown"
    );
}

#[test]
fn what_a_bare_component_says_is_bounded() {
    let world = World::new();
    for version in [
        "",
        "1",
        "1.0.0+build",
        "1.0.0-\u{1b}",
        &format!("1.0.0-{}", "x".repeat(99)),
    ] {
        let checked = check(&world, &bare("draft"), &says(NAME, version));
        assert_eq!(kind(checked), "plugin-document", "{version}");
    }
    let mut hostile = says(NAME, "1.0.0");
    hostile.capabilities[0].grant = "run:x\u{202e}".into();
    assert_eq!(
        kind(check(&world, &bare("draft"), &hostile)),
        "plugin-document"
    );
    let mut module = Bundle::default();
    module
        .insert(COMPONENT, bytes::Bytes::from_static(b"\0asm\x01\0\0\0"))
        .unwrap();
    assert_eq!(
        kind(check(&world, &module, &says(NAME, "1.0.0"))),
        "plugin-header"
    );
}

#[test]
fn a_bare_component_is_described_once() {
    let world = World::new();
    let candidate = check(&world, &bare("draft"), &says(NAME, "0.1.0")).unwrap();
    assert_eq!(kind(candidate.confirm(&says(NAME, "0.2.0"))), "trust-busy");
}

#[test]
fn a_draft_may_be_built_again_but_inherits_nothing() {
    let world = World::new();
    let (draft, described) = (bare("draft"), says(NAME, "0.1.0"));
    let first = install(&world, &draft, &described);
    let installed = world.store.installed(&name(NAME)).unwrap().unwrap();
    let grants = ["run:docker stop x".to_owned()];
    world
        .store
        .allow(
            &name(NAME),
            &first.digest,
            &installed.capability_hash,
            &grants,
        )
        .unwrap();

    let again = check(&world, &draft, &described).unwrap();
    assert!(!again.needs_approval(), "this very component was approved");
    let rebuilt = bare("draft, built again");
    assert!(
        check(&world, &rebuilt, &described)
            .unwrap()
            .needs_approval()
    );
    let second = install(&world, &rebuilt, &described);
    assert_eq!((second.carried, second.dropped), (vec![], grants.to_vec()));
    let older = check(&world, &bare("old"), &says(NAME, "0.0.9"));
    assert_eq!(kind(older), "plugin-downgrade");
}

#[test]
fn an_unsigned_version_does_not_stand_in_the_way_of_signed_ones() {
    let world = World::new();
    let squatter = says(NAME, "999.0.0");
    install(&world, &bare("squatter"), &squatter);

    let beta = crate::world::Signer::new();
    let document = crate::world::first("beta", &[&beta], 1);
    world.trust(&crate::world::introduction(&document, &[&beta]));
    let component = component("1.0.0");
    let statement = statement(NAME, "1.0.0", &component);
    let bundle = release(&statement, &component, &[&beta]);
    assert!(world.check(&bundle).unwrap().needs_approval());
    world.install(&statement, &bundle);
    assert!(
        !world
            .store
            .installed(&name(NAME))
            .unwrap()
            .unwrap()
            .unsigned
    );

    // And once it was signed, nothing unsigned goes below it, even when its publisher is forgotten.
    world.store.remove(&name(NAME)).unwrap();
    world.store.distrust("beta").unwrap();
    for (version, expected) in [
        ("0.9.0", "plugin-downgrade"),
        ("1.0.0", "plugin-two-components"),
    ] {
        let checked = check(&world, &bare("other"), &says(NAME, version));
        assert_eq!(kind(checked), expected);
    }
}
