//! Releases that were taken back after they were installed.

use copal_trust::{Bundle, Revocation};

use crate::world::{
    NAME, Signer, World, component, days, first, introduction, name, next, release, statement, with,
};

fn revoked(world: &World, digest: &str, bundle: Option<&Bundle>) -> Option<Revocation> {
    world.store.revoked(&name(NAME), digest, bundle).unwrap()
}

#[test]
fn a_revoked_release_is_known_as_such_with_its_reason() {
    let world = World::new();
    let digest = world.install_version("1.0.0").digest;
    assert_eq!(revoked(&world, &digest, None), None);
    let mut second = next(&world.document).with_revoked_release(&digest, "Loses data.");
    // Even an expired document revokes.
    second.not_after = second.created + days(1) / 2;
    world.trust(&introduction(&second, &[&world.acme]));
    let revocation = revoked(&world, &digest, None).unwrap();
    assert_eq!(
        (revocation.publisher.as_str(), revocation.reason.as_str()),
        ("acme", "Loses data.")
    );
    assert!(revoked(&world, &digest, Some(&Bundle::default())).is_some());
    assert_eq!(revoked(&world, &"ab".repeat(32), None), None);
}

#[test]
fn no_publisher_revokes_the_plugins_of_another() {
    let world = World::new();
    let digest = world.install_version("1.0.0").digest;
    let beta = Signer::new();
    let document = first("beta", &[&beta], 1).with_revoked_release(&digest, "Competition.");
    world.trust(&introduction(&document, &[&beta]));
    assert_eq!(revoked(&world, &digest, None), None);
}

#[test]
fn a_release_that_only_revoked_keys_signed_is_revoked() {
    let world = World::new();
    let fresh = Signer::new();
    let (statement, bundle) = world.release("1.0.0");
    let digest = world.install(&statement, &bundle).digest;
    let rotated = next(&world.document)
        .with_key(fresh.public())
        .without_key(&world.acme.public());
    world.trust(&introduction(&rotated, &[&world.acme, &fresh]));
    assert_eq!(
        revoked(&world, &digest, None),
        None,
        "a replaced key is no revoked one"
    );

    let second = next(&rotated).with_revoked_key(&world.acme.public());
    world.trust(&introduction(&second, &[&fresh]));
    let revocation = revoked(&world, &digest, None).unwrap();
    assert!(revocation.reason.contains(&world.acme.public().id()));
    assert!(
        revoked(&world, &digest, Some(&bundle)).is_some(),
        "from a snapshot"
    );
    assert_eq!(revoked(&world, "../../etc", None), None);
}

#[test]
fn a_release_that_an_honest_key_signed_too_is_not_revoked_with_the_other() {
    let world = World::new();
    let fresh = Signer::new();
    let second = next(&world.document).with_key(fresh.public());
    world.trust(&introduction(&second, &[&world.acme, &fresh]));
    let component = component("1");
    let statement = statement(NAME, "1.0.0", &component);
    let bundle = release(&statement, &component, &[&world.acme, &fresh]);
    let digest = world.install(&statement, &bundle).digest;
    let third = next(&second).with_revoked_key(&world.acme.public());
    world.trust(&introduction(&third, &[&fresh]));
    assert_eq!(revoked(&world, &digest, None), None);

    // A signature of the honest key that is another document's does not help.
    let other = release(&statement, &component, &[&world.acme]);
    let foreign = fresh.sign(b"another document");
    let forged = with(&other, "release.json.1.minisig", Some(&foreign));
    assert!(revoked(&world, &digest, Some(&forged)).is_some());
}

#[test]
fn the_statement_of_another_component_clears_none() {
    let world = World::new();
    let fresh = Signer::new();
    let (stolen, bundle) = world.release("1.0.0");
    world.install(&stolen, &bundle);
    let second = next(&world.document)
        .with_key(fresh.public())
        .with_revoked_key(&world.acme.public());
    world.trust(&introduction(&second, &[&world.acme, &fresh]));
    let good = component("good");
    let cleared = release(&statement(NAME, "1.0.1", &good), &good, &[&fresh]);
    // It is not held against this component either: what is installed says who signed it.
    assert!(revoked(&world, &stolen.sha256, Some(&cleared)).is_some());
}
