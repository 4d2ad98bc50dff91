//! Publisher documents: first meeting, rotation, replay, theft.

use copal_trust::{Bundle, PUBLISHER, PublisherDocument, STATEMENT};

use crate::world::{
    Signer, World, days, first, introduction, kind, next, now, signed, with, with_publisher,
    with_version,
};

#[test]
fn a_publisher_is_introduced_and_then_trusted() {
    let world = World::new();
    let beta = Signer::new();
    let document = first("beta", &[&beta], 1);
    let bundle = introduction(&document, &[&beta]);
    let met = world.store.introduce(&bundle, now()).unwrap();
    assert_eq!(
        (met.publisher.as_str(), met.known, met.is_new()),
        ("beta", None, true)
    );
    assert_eq!(met.document, document);
    assert_eq!(
        met.fingerprint,
        crate::world::sha256(&document.to_bytes().unwrap())
    );
    assert!(
        world.store.publisher("beta").unwrap().is_none(),
        "nothing is trusted yet"
    );

    world.store.trust(&met).unwrap();
    let names: Vec<_> = world
        .store
        .publishers()
        .unwrap()
        .into_iter()
        .map(|p| p.document.publisher)
        .collect();
    assert_eq!(names, ["acme", "beta"]);
    let again = world.store.introduce(&bundle, now()).unwrap();
    assert_eq!((again.known, again.is_new()), (Some(1), false));
    world.store.trust(&again).unwrap();

    world.store.distrust("beta").unwrap();
    assert!(world.store.publisher("beta").unwrap().is_none());
    assert_eq!(kind(world.store.distrust("beta")), "publisher-not-trusted");
}

#[test]
fn a_document_must_vouch_for_itself() {
    let world = World::new();
    let (one, two, stranger) = (Signer::new(), Signer::new(), Signer::new());
    let document = first("beta", &[&one, &two], 2);
    let met = |signers: &[&Signer]| {
        let met = world
            .store
            .introduce(&introduction(&document, signers), now());
        met.map(|met| met.is_new())
    };
    assert!(met(&[&one, &two]).unwrap());
    assert!(met(&[&stranger, &two, &one]).unwrap());
    assert_eq!(kind(met(&[])), "plugin-unsigned");
    assert_eq!(kind(met(&[&one])), "signatures-too-few");
    assert_eq!(kind(met(&[&one, &one, &one])), "signatures-too-few");
    assert_eq!(kind(met(&[&one, &stranger])), "signatures-too-few");
    assert_eq!(kind(met(&[&stranger])), "signatures-too-few");

    let bundle = introduction(&document, &[&one, &two]);
    let tampered = document.to_bytes().unwrap();
    let tampered = String::from_utf8(tampered)
        .unwrap()
        .replace("\"threshold\": 2", "\"threshold\": 1");
    let tampered = with(&bundle, PUBLISHER, Some(tampered.as_bytes()));
    assert_eq!(
        kind(world.store.introduce(&tampered, now())),
        "signature-wrong"
    );
    let garbage = with(&bundle, "publisher.json.minisig", Some(b"garbage"));
    assert_eq!(
        kind(world.store.introduce(&garbage, now())),
        "signature-unreadable"
    );
    assert_eq!(
        kind(world.store.introduce(&Bundle::default(), now())),
        "publisher-missing"
    );
}

#[test]
fn the_name_of_the_program_is_nobodys() {
    let world = World::new();
    let thief = Signer::new();
    let bundle = introduction(&first("copal", &[&thief], 1), &[&thief]);
    assert_eq!(
        kind(world.store.introduce(&bundle, now())),
        "plugin-reserved"
    );
}

#[test]
fn an_expired_document_is_no_first_meeting() {
    let world = World::new();
    let beta = Signer::new();
    let mut document = first("beta", &[&beta], 1);
    document.not_after = now() - days(1);
    let bundle = introduction(&document, &[&beta]);
    assert_eq!(
        kind(world.store.introduce(&bundle, now())),
        "publisher-expired"
    );
    assert!(world.store.introduce(&bundle, now() - days(2)).is_ok());
    document.not_after = now();
    let bundle = introduction(&document, &[&beta]);
    assert!(
        world.store.introduce(&bundle, now()).is_ok(),
        "the last second counts"
    );
}

#[test]
fn a_document_from_the_future_is_refused() {
    let world = World::new();
    let beta = Signer::new();
    let bundle = introduction(&first("beta", &[&beta], 1), &[&beta]);
    assert_eq!(
        kind(world.store.introduce(&bundle, now() - days(32))),
        "plugin-from-the-future"
    );
    assert!(world.store.introduce(&bundle, now() - days(31)).is_ok());
}

#[test]
fn a_new_version_needs_the_old_keys_and_its_own() {
    let world = World::new();
    let (acme, fresh) = (&world.acme, &Signer::new());
    let second = next(&world.document)
        .with_key(fresh.public())
        .without_key(&acme.public());
    let met = |signers: &[&Signer]| {
        world
            .store
            .introduce(&introduction(&second, signers), now())
    };
    assert_eq!(kind(met(&[fresh])), "publisher-name-taken");
    assert_eq!(kind(met(&[acme])), "signatures-too-few");
    let met = met(&[acme, fresh]).unwrap();
    assert_eq!((met.known, met.document.version), (Some(1), 2));
    world.store.trust(&met).unwrap();
    let known = world.store.publisher("acme").unwrap().unwrap();
    assert_eq!(known.document, second);
}

#[test]
fn thresholds_of_both_versions_count() {
    let world = World::new();
    let signers: Vec<Signer> = (0..4).map(|_| Signer::new()).collect();
    let [a, b, c, d] = &signers[..] else { panic!() };
    let document = first("beta", &[a, b], 2);
    world.trust(&introduction(&document, &[a, b]));
    let mut second = next(&document).with_key(c.public()).with_key(d.public());
    second = second.without_key(&a.public()).without_key(&b.public());
    let met = |signers: &[&Signer]| {
        world
            .store
            .introduce(&introduction(&second, signers), now())
    };
    for few in [&[a, c, d][..], &[a, b, c], &[c, d, b, b]] {
        assert_eq!(kind(met(few)), "signatures-too-few");
    }
    assert!(met(&[a, b, c, d]).is_ok());
}

#[test]
fn a_bundle_brings_the_versions_between() {
    let world = World::new();
    let (acme, fresh) = (&world.acme, &Signer::new());
    let second = next(&world.document).with_key(fresh.public());
    // Expired in between: only the newest must be valid.
    let mut third = next(&second).with_revoked_key(&acme.public());
    third.not_after = third.created + days(1) / 2;
    let fourth = next(&third);

    let newest = introduction(&fourth, &[fresh]);
    let refused = world.store.introduce(&newest, now());
    assert_eq!(
        kind(refused),
        "publisher-name-taken",
        "no key in common, no way shown"
    );
    let gap = with_version(newest.clone(), &third, &[acme, fresh]);
    assert_eq!(
        kind(world.store.introduce(&gap, now())),
        "publisher-name-taken"
    );
    let whole = with_version(gap, &second, &[acme, fresh]);
    world.trust(&whole);
    let known = world.store.publisher("acme").unwrap().unwrap();
    assert_eq!(known.document, fourth);

    let misnamed = with_publisher(Bundle::default(), &next(&next(&next(&fourth))), &[fresh]);
    let misnamed = signed(
        misnamed,
        "publisher.5.json",
        &next(&next(&fourth)).to_bytes().unwrap(),
        &[fresh],
    );
    assert_eq!(
        kind(world.store.introduce(&misnamed, now())),
        "plugin-document"
    );
}

#[test]
fn a_version_missing_between_is_told_from_theft() {
    let world = World::new();
    let third = next(&next(&world.document));
    let bundle = introduction(&third, &[&world.acme]);
    assert_eq!(
        kind(world.store.introduce(&bundle, now())),
        "publisher-version-missing"
    );
}

#[test]
fn a_name_is_not_taken_over_by_other_keys() {
    let world = World::new();
    world.trust(&introduction(&next(&world.document), &[&world.acme]));
    let thief = Signer::new();
    let same = first("acme", &[&thief], 1);
    for version in [1, 2, 3, 256] {
        let theirs = PublisherDocument {
            version,
            previous: (version > 1).then(|| "ab".repeat(32)),
            ..same.clone()
        };
        let refused = world
            .store
            .introduce(&introduction(&theirs, &[&thief]), now());
        assert_eq!(kind(refused), "publisher-name-taken", "{version}");
    }
    let known = world.store.publisher("acme").unwrap().unwrap();
    assert_eq!(known.document.keys, [world.acme.public()]);
}

#[test]
fn an_old_document_is_not_taken_for_news() {
    let world = World::new();
    let old = introduction(&world.document, &[&world.acme]);
    world.trust(&introduction(&next(&world.document), &[&world.acme]));
    let met = world.store.introduce(&old, now()).unwrap();
    assert_eq!((met.known, met.is_new()), (Some(2), false));
    assert_eq!(kind(world.store.trust(&met)), "publisher-replayed");
    let mut other = world.document.clone();
    other.not_after = now() + days(1);
    let other = introduction(&other, &[&world.acme]);
    assert_eq!(
        kind(world.store.introduce(&other, now())),
        "publisher-replayed"
    );
}

#[test]
fn two_documents_of_one_version_are_one_too_many() {
    let world = World::new();
    let mut other = world.document.clone();
    other.not_after = now() + days(1);
    let refused = world
        .store
        .introduce(&introduction(&other, &[&world.acme]), now());
    assert_eq!(kind(refused), "publisher-forked");
}

#[test]
fn a_revocation_is_for_good() {
    let world = World::new();
    let (old, digest) = (Signer::new(), "ab".repeat(32));
    let second = next(&world.document)
        .with_revoked_key(&old.public())
        .with_revoked_release(&digest, "Loses data.");
    world.trust(&introduction(&second, &[&world.acme]));
    let mut keyless = next(&second);
    keyless.revoked_keys.clear();
    let mut releaseless = next(&second);
    releaseless.revoked_releases.clear();
    let readmitted = PublisherDocument {
        revoked_keys: Vec::new(),
        ..next(&second)
    }
    .with_key(old.public());
    for document in [keyless, releaseless, readmitted] {
        let refused = world
            .store
            .introduce(&introduction(&document, &[&world.acme]), now());
        assert_eq!(kind(refused), "publisher-revocation-taken-back");
    }
    let mut reworded = next(&second);
    reworded.revoked_releases[0].reason = "Loses data, in rare cases.".into();
    world.trust(&introduction(&reworded, &[&world.acme]));
}

#[test]
fn a_key_that_was_revoked_does_not_sign_the_way_back() {
    let world = World::new();
    let (acme, fresh) = (&world.acme, &Signer::new());
    let second = next(&world.document)
        .with_key(fresh.public())
        .with_revoked_key(&acme.public());
    world.trust(&introduction(&second, &[acme, fresh]));
    let third = next(&second).with_key(Signer::new().public());
    let refused = world.store.introduce(&introduction(&third, &[acme]), now());
    assert_eq!(kind(refused), "key-revoked");
}

#[test]
fn an_expired_version_of_a_known_publisher_is_kept_for_what_it_revokes() {
    let world = World::new();
    let mut second = next(&world.document).with_revoked_release(&"ab".repeat(32), "Loses data.");
    second.not_after = second.created + days(1) / 2;
    world.trust(&introduction(&second, &[&world.acme]));
    let known = world.store.publisher("acme").unwrap().unwrap();
    assert!(known.document.is_expired(now()));
}

#[test]
fn a_signature_of_one_document_is_none_of_another() {
    let world = World::new();
    let (_, bundle) = world.release("1.0.0");
    let statement = bundle.get(STATEMENT).unwrap();
    let signature = bundle.get("release.json.minisig").unwrap();
    // The statement's signature at the publisher document, and the statement itself in its place.
    let document = next(&world.document);
    let swapped = introduction(&document, &[&world.acme]);
    let swapped = with(&swapped, "publisher.json.minisig", Some(signature));
    assert_eq!(
        kind(world.store.introduce(&swapped, now())),
        "signature-wrong"
    );
    let statement_as_document = with(&swapped, PUBLISHER, Some(statement));
    assert_eq!(
        kind(world.store.introduce(&statement_as_document, now())),
        "plugin-document"
    );
    // And the other way round.
    let signature = introduction(&document, &[&world.acme]);
    let document_signature = signature.get("publisher.json.minisig").unwrap();
    let swapped = with(&bundle, "release.json.minisig", Some(document_signature));
    assert_eq!(world.refusal(&swapped), "signature-wrong");
    let document_as_statement = with(&swapped, STATEMENT, Some(&document.to_bytes().unwrap()));
    assert_eq!(world.refusal(&document_as_statement), "plugin-document");
}

#[test]
fn what_was_introduced_is_trusted_only_while_nothing_changed() {
    let world = World::new();
    let second = introduction(&next(&world.document), &[&world.acme]);
    let met = world.store.introduce(&second, now()).unwrap();
    world.trust(&second);
    assert_eq!(kind(world.store.trust(&met)), "trust-busy");
}

#[test]
fn the_past_of_a_document_is_the_one_that_it_names() {
    let world = World::new();
    let (beta, thief) = (&Signer::new(), &Signer::new());
    let genuine = first("beta", &[beta], 1);
    let second = next(&genuine);
    // Whoever gets hold of the newest document signs it too, and writes a past in which his key was one of the publisher's.
    let mut forged = first("beta", &[thief], 1);
    let bundle = introduction(&second, &[beta, thief]);
    let refused = |forged: &PublisherDocument| {
        let bundle = with_version(bundle.clone(), forged, &[thief]);
        kind(world.store.introduce(&bundle, now()))
    };
    assert_eq!(refused(&forged), "publisher-forked");
    forged.keys.push(beta.public());
    assert_eq!(refused(&forged), "publisher-forked");
    world.trust(&with_version(bundle, &genuine, &[beta]));
}

#[test]
fn a_known_document_is_followed_by_the_one_that_was_made_after_it() {
    let world = World::new();
    let mut other = world.document.clone();
    other.not_after = now() + days(1);
    let refused = world
        .store
        .introduce(&introduction(&next(&other), &[&world.acme]), now());
    assert_eq!(kind(refused), "publisher-forked");
}
