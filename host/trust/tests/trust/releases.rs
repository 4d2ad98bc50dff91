//! What a release must be before anything of it is loaded.

use copal_trust::{COMPONENT, Change, PUBLISHER, STATEMENT, Statement, verify};

use crate::world::{
    NAME, Signer, World, capability, component, days, described, first, introduction, kind, name,
    next, now, release, signed, statement, terms, with, with_publisher, with_version,
};

#[test]
fn a_release_of_a_trusted_publisher_may_be_installed() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    let candidate = world.check(&bundle).unwrap();
    assert_eq!(candidate.name, name(NAME));
    assert_eq!(
        (candidate.change.clone(), candidate.unsigned),
        (Change::New, false)
    );
    assert_eq!(candidate.publisher_version, Some(1));
    assert_eq!(candidate.digest, statement.sha256);
    assert_eq!(candidate.statement.as_ref(), Some(&statement));
    assert_eq!(candidate.capability_hash, statement.capability_hash());
    assert!(candidate.confirm(&described(&statement)).is_ok());
}

#[test]
fn a_release_in_parts_is_refused() {
    let world = World::new();
    let (_, bundle) = world.release("1.0.0");
    let no_component = with(&bundle, COMPONENT, None);
    assert_eq!(world.refusal(&no_component), "plugin-without-component");
    let no_statement = with(&bundle, STATEMENT, None);
    assert_eq!(world.refusal(&no_statement), "plugin-without-statement");
    let bare = with(&no_statement, "release.json.minisig", None);
    assert_eq!(world.refusal(&bare), "plugin-without-statement");
    assert_eq!(world.refusal(&Default::default()), "plugin-missing");
}

#[test]
fn another_component_than_the_one_signed_is_refused() {
    let world = World::new();
    let (_, bundle) = world.release("1.0.0");
    let whole = bundle.get(COMPONENT).unwrap().to_vec();
    let mut flipped = whole.clone();
    flipped[9] ^= 1;
    let mut longer = whole.clone();
    longer.push(0);
    let mut module = whole.clone();
    module[..8].copy_from_slice(b"\0asm\x01\0\0\0");
    let mut escape = whole.clone();
    escape[..4].copy_from_slice(b"\x1b[2J");
    for (bytes, expected) in [
        (flipped, "plugin-tampered"),
        (longer, "plugin-tampered"),
        (whole[..whole.len() - 1].to_vec(), "plugin-tampered"),
        (module, "plugin-header"),
        (escape, "plugin-header"),
        (whole[..7].to_vec(), "plugin-header"),
        (Vec::new(), "plugin-header"),
    ] {
        let tampered = with(&bundle, COMPONENT, Some(&bytes));
        assert_eq!(world.refusal(&tampered), expected);
    }
}

#[test]
fn a_core_module_is_refused_even_when_it_was_signed() {
    let world = World::new();
    let module = bytes::Bytes::from_static(b"\0asm\x01\0\0\0module");
    let statement = statement(NAME, "1.0.0", &module);
    assert_eq!(
        world.refusal(&release(&statement, &module, &[&world.acme])),
        "plugin-header"
    );
}

#[test]
fn a_statement_that_was_changed_is_refused() {
    let world = World::new();
    let (mut statement, bundle) = world.release("1.0.0");
    statement.capabilities.clear();
    let changed = with(&bundle, STATEMENT, Some(&statement.to_bytes().unwrap()));
    assert_eq!(world.refusal(&changed), "signature-wrong");
    // Not a byte may differ, even where it means the same.
    let mut spaced = bundle.get(STATEMENT).unwrap().to_vec();
    spaced.push(b'\n');
    assert_eq!(
        world.refusal(&with(&bundle, STATEMENT, Some(&spaced))),
        "signature-wrong"
    );
}

#[test]
fn a_size_that_is_not_the_components_is_refused() {
    let world = World::new();
    let component = component("1");
    let mut statement = statement(NAME, "1.0.0", &component);
    statement.size += 1;
    assert_eq!(
        world.refusal(&release(&statement, &component, &[&world.acme])),
        "plugin-tampered"
    );
}

#[test]
fn a_release_without_a_signature_is_refused() {
    let world = World::new();
    let component = component("1");
    let ours = statement(NAME, "1.0.0", &component);
    assert_eq!(
        world.refusal(&release(&ours, &component, &[])),
        "plugin-unsigned-publisher"
    );
    let others = statement("beta/notebook", "1.0.0", &component);
    assert_eq!(
        world.refusal(&release(&others, &component, &[])),
        "plugin-unsigned"
    );
}

#[test]
fn a_release_under_a_known_name_by_unknown_keys_is_refused() {
    let world = World::new();
    let thief = Signer::new();
    let component = component("1");
    let statement = statement(NAME, "1.0.0", &component);
    let bundle = release(&statement, &component, &[&thief]);
    assert_eq!(world.refusal(&bundle), "publisher-name-taken");
    let bundle = with_publisher(bundle, &first("acme", &[&thief], 1), &[&thief]);
    assert_eq!(world.refusal(&bundle), "publisher-name-taken");
}

#[test]
fn a_release_of_an_unknown_publisher_is_refused_with_the_fingerprint() {
    let world = World::new();
    let beta = Signer::new();
    let component = component("1");
    let statement = statement("beta/notebook", "1.0.0", &component);
    let bundle = release(&statement, &component, &[&beta]);
    assert_eq!(world.refusal(&bundle), "publisher-unknown");
    let document = first("beta", &[&beta], 1);
    let bundle = with_publisher(bundle, &document, &[&beta]);
    let refusal = world.check(&bundle).unwrap_err();
    let fingerprint = copal_trust::fingerprint(&document.to_bytes().unwrap());
    assert!(refusal.to_string().contains(&fingerprint));
    assert_eq!(refusal.kind(), "publisher-unknown");
    world.trust(&bundle);
    assert!(world.check(&bundle).is_ok());
}

#[test]
fn as_many_keys_sign_a_release_as_the_threshold_says() {
    let world = World::new();
    let (one, two, stranger) = (&Signer::new(), &Signer::new(), &Signer::new());
    world.trust(&introduction(&first("beta", &[one, two], 2), &[one, two]));
    let component = component("1");
    let statement = statement("beta/notebook", "1.0.0", &component);
    let check = |signers: &[&Signer]| world.check(&release(&statement, &component, signers));
    for few in [&[one][..], &[one, one], &[two, stranger]] {
        assert_eq!(kind(check(few)), "signatures-too-few");
    }
    assert!(check(&[stranger, two, one]).is_ok());
}

#[test]
fn keys_that_were_revoked_or_replaced_sign_nothing() {
    let world = World::new();
    let fresh = Signer::new();
    let (_, bundle) = world.release("1.0.0");
    let replaced = next(&world.document)
        .with_key(fresh.public())
        .without_key(&world.acme.public());
    world.trust(&introduction(&replaced, &[&world.acme, &fresh]));
    assert_eq!(world.refusal(&bundle), "key-retired");
    let revoked = next(&replaced).with_revoked_key(&world.acme.public());
    world.trust(&introduction(&revoked, &[&fresh]));
    assert_eq!(world.refusal(&bundle), "key-revoked");
}

#[test]
fn a_revocation_in_the_release_itself_counts() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    let second = next(&world.document).with_revoked_release(&statement.sha256, "Loses data.");
    let bundle = with_publisher(bundle, &second, &[&world.acme]);
    assert_eq!(world.refusal(&bundle), "plugin-revoked");
    assert_eq!(kind(verify(&bundle, now())), "plugin-revoked");
}

#[test]
fn a_release_may_bring_an_old_publisher_document_that_was_known_and_no_other() {
    let world = World::new();
    let (_, bundle) = world.release("1.0.0");
    world.trust(&introduction(&next(&world.document), &[&world.acme]));
    assert!(world.check(&bundle).is_ok(), "it may bring none");
    let old = with_publisher(bundle.clone(), &world.document, &[&world.acme]);
    let candidate = world.check(&old).unwrap();
    assert_eq!(candidate.publisher_version, Some(2));
    let mut other = world.document.clone();
    other.not_after = now() + days(1);
    let bundle = with_publisher(bundle, &other, &[&world.acme]);
    assert_eq!(world.refusal(&bundle), "publisher-replayed");
}

#[test]
fn the_document_of_another_publisher_is_refused() {
    let world = World::new();
    let (_, bundle) = world.release("1.0.0");
    let beta = Signer::new();
    let bundle = with_publisher(bundle, &first("beta", &[&beta], 1), &[&beta]);
    assert_eq!(world.refusal(&bundle), "publisher-other");
    assert_eq!(kind(verify(&bundle, now())), "publisher-other");
}

#[test]
fn nobody_signs_for_another_publisher() {
    let world = World::new();
    let beta = Signer::new();
    world.trust(&introduction(&first("beta", &[&beta], 1), &[&beta]));
    let component = component("1");
    let statement = statement(NAME, "1.0.0", &component);
    assert_eq!(
        world.refusal(&release(&statement, &component, &[&beta])),
        "publisher-name-taken"
    );
}

#[test]
fn an_expired_document_gates_what_is_new() {
    let world = World::new();
    let (_, bundle) = world.release("1.0.0");
    let mut terms = terms();
    terms.now = world.document.not_after;
    assert!(world.store.check(&bundle, &terms).is_ok());
    terms.now = world.document.not_after + days(1);
    assert_eq!(
        kind(world.store.check(&bundle, &terms)),
        "publisher-expired"
    );
}

#[test]
fn a_clock_that_is_set_back_does_not_bring_an_expired_key_to_life() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    let mut terms = terms();
    terms.now = statement.created - days(1);
    assert!(world.store.check(&bundle, &terms).is_ok());
    terms.now = statement.created - days(2);
    assert_eq!(
        kind(world.store.check(&bundle, &terms)),
        "plugin-from-the-future"
    );
}

#[test]
fn the_plugin_must_be_the_one_that_was_asked_for() {
    let world = World::new();
    let (_, bundle) = world.release("1.0.0");
    let mut terms = terms();
    terms.name = Some(name(NAME));
    assert!(world.store.check(&bundle, &terms).is_ok());
    terms.name = Some(name("acme/diary"));
    assert_eq!(kind(world.store.check(&bundle, &terms)), "plugin-other");
}

#[test]
fn the_programs_own_names_can_not_be_installed() {
    let world = World::new();
    let component = component("1");
    let statement = statement("copal/files", "1.0.0", &component);
    assert_eq!(
        world.refusal(&release(&statement, &component, &[&world.acme])),
        "plugin-reserved"
    );
}

#[test]
fn a_release_for_a_later_copal_is_refused() {
    let world = World::new();
    let component = component("1");
    for (minimum, host, fits) in [
        ("0.1.0", "0.1.0", true),
        ("0.1.0", "0.2.0", true),
        ("0.10.0", "0.9.0", false),
        ("0.1.0", "0.1.0-rc.1", false),
        ("0.1.0-rc.1", "0.1.0", true),
        ("0.1.0", "0.1.0+local", true),
    ] {
        let mut statement = statement(NAME, "1.0.0", &component);
        statement.minimum_host = minimum.parse().unwrap();
        let bundle = release(&statement, &component, &[&world.acme]);
        let mut terms = terms();
        terms.host = host.parse().unwrap();
        let checked = world.store.check(&bundle, &terms);
        assert_eq!(checked.is_ok(), fits, "{minimum} {host}");
        if !fits {
            assert_eq!(kind(checked), "plugin-minimum-host");
        }
    }
}

#[test]
fn no_version_is_a_step_back() {
    let world = World::new();
    world.install_version("1.10.0");
    for (version, expected) in [
        ("1.9.9", Some("plugin-downgrade")),
        ("1.10.0-rc.1", Some("plugin-downgrade")),
        ("0.99.0", Some("plugin-downgrade")),
        ("1.10.0", None),
        ("1.10.1-rc.1", None),
        ("18446744073709551615.0.0", None),
    ] {
        let checked = world.check(&world.release(version).1);
        assert_eq!(
            checked.err().map(|refusal| refusal.kind()),
            expected,
            "{version}"
        );
    }
}

#[test]
fn a_version_has_one_component() {
    let world = World::new();
    world.install_version("1.0.0");
    let other = component("another 1.0.0");
    let bundle = release(&statement(NAME, "1.0.0", &other), &other, &[&world.acme]);
    assert_eq!(world.refusal(&bundle), "plugin-two-components");
}

#[test]
fn a_component_has_one_name() {
    let world = World::new();
    world.install_version("1.0.0");
    let same = component("1.0.0");
    let bundle = release(
        &statement("acme/diary", "1.0.0", &same),
        &same,
        &[&world.acme],
    );
    assert_eq!(world.refusal(&bundle), "plugin-two-names");
}

#[test]
fn a_component_that_says_something_else_is_not_installed() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    let mut other = described(&statement);
    other.capabilities.push(capability("run:rm -rf *"));
    let candidate = world.check(&bundle).unwrap();
    assert_eq!(kind(candidate.confirm(&other)), "plugin-statement-differs");
}

#[test]
fn a_vendor_checks_a_release_by_what_it_brings() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    assert_eq!(kind(verify(&bundle, now())), "publisher-missing");
    let whole = with_publisher(bundle, &world.document, &[&world.acme]);
    let verified = verify(&whole, now()).unwrap();
    assert_eq!(
        (verified.statement, verified.publisher, verified.signed),
        (statement, world.document.clone(), 1)
    );
    assert_eq!(kind(verify(&whole, now() + days(31))), "publisher-expired");
    let unsigned = with(&whole, "release.json.minisig", None);
    assert_eq!(kind(verify(&unsigned, now())), "plugin-unsigned");
    let unsigned = with(&whole, "publisher.json.minisig", None);
    assert_eq!(kind(verify(&unsigned, now())), "plugin-unsigned");
    assert!(whole.get(PUBLISHER).is_some());
}

#[test]
fn a_signature_beside_good_ones_that_claims_a_known_key_must_be_good_too() {
    let world = World::new();
    let (statement, bundle) = world.release("1.0.0");
    let forged = Statement {
        version: "9.0.0".parse().unwrap(),
        ..statement
    };
    let other = signed(
        Default::default(),
        STATEMENT,
        &forged.to_bytes().unwrap(),
        &[&world.acme],
    );
    let other = other.get("release.json.minisig").unwrap();
    let mut both = bundle.clone();
    both.insert("release.json.3.minisig", other.clone())
        .unwrap();
    assert_eq!(world.refusal(&both), "signature-wrong");
}

#[test]
fn a_vendor_is_told_that_a_release_is_signed_by_a_key_that_was_replaced() {
    let world = World::new();
    let fresh = Signer::new();
    let (_, bundle) = world.release("1.0.0");
    let second = next(&world.document)
        .with_key(fresh.public())
        .without_key(&world.acme.public());
    let bundle = with_publisher(bundle, &second, &[&world.acme, &fresh]);
    assert_eq!(kind(verify(&bundle, now())), "publisher-name-taken");
    let bundle = with_version(bundle, &world.document, &[&world.acme]);
    assert_eq!(kind(verify(&bundle, now())), "key-retired");
}
