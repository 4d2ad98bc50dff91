//! No input makes a parser panic, and what is written is read again as it was.

use copal_trust::key::{self, PublicKey, SecretKey};
use copal_trust::{Capability, PluginName, PublisherDocument, Statement};
use jiff::Timestamp;
use proptest::prelude::*;
use semver::{BuildMetadata, Prerelease, Version};

use crate::world::{NAME, Signer, component, days, first, now, statement};

/// Text that may stand in a document.
const LINE: &str = "[a-zA-Z0-9äß默한/*:.\"'\\\\@-]([ -~äß默한]{0,40}[a-zA-Z0-9äß默한*])?";

prop_compose! {
    fn version()(
        major: u64, minor: u32, patch: u32,
        pre in prop_oneof![Just(String::new()), "[a-z]{1,8}(\\.[1-9][0-9]{0,5})?"],
    ) -> Version {
        Version { major, minor: minor.into(), patch: patch.into(), pre: Prerelease::new(&pre).unwrap(), build: BuildMetadata::EMPTY }
    }
}

prop_compose! {
    fn any_statement()(
        name in "[a-z0-9][a-z0-9-]{0,63}/[a-z0-9][a-z0-9-]{0,63}",
        version in version(),
        minimum_host in version(),
        sha256 in "[0-9a-f]{64}",
        size in 0..=128_u64 << 20,
        grants in prop::collection::btree_map(LINE, LINE, 0..5),
        imports in prop::collection::btree_set(LINE, 0..5),
        created in 0..253_402_300_799_i64,
        description in LINE,
        license in prop::option::of(LINE),
        source in prop::option::of(LINE),
    ) -> Statement {
        Statement {
            version,
            minimum_host,
            sha256,
            size,
            imports: imports.into_iter().collect(),
            capabilities: grants.into_iter().map(|(grant, reason)| Capability { grant, reason }).collect(),
            created: Timestamp::from_second(created).unwrap(),
            description,
            license,
            source,
            ..statement(&name, "1.0.0", &component(""))
        }
    }
}

/// A valid text with a few bytes replaced.
fn mutated(text: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut text = text;
    for (place, byte) in changes {
        let place = place.index(text.len());
        text[place] = *byte;
    }
    text
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
}

proptest! {
    #[test]
    fn every_statement_is_read_as_it_was_written(statement in any_statement()) {
        let bytes = statement.to_bytes().unwrap();
        prop_assert_eq!(&Statement::parse(&bytes).unwrap(), &statement);
        prop_assert_eq!(statement.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes: Vec<u8>, text: String) {
        let _ = Statement::parse(&bytes);
        let _ = PublisherDocument::parse(&bytes);
        let _ = text.parse::<PluginName>();
        let _ = PublicKey::read(&text);
        let _ = SecretKey::read(&text, Some("password"));
        let key = "RWRQd2l8dDlvDpglbRqHdfhNwOrMJelExzdrlkVu0M4QJW2Py+NRvaUG".parse().unwrap();
        prop_assert!(key::verify(&key, "x", b"document", &bytes).is_err());
    }

    #[test]
    fn a_statement_with_other_bytes_is_refused_or_still_whole(changes in changes()) {
        let valid = statement(NAME, "1.0.0", &component("x")).to_bytes().unwrap();
        if let Ok(read) = Statement::parse(&mutated(valid, &changes)) {
            let bytes = read.to_bytes().unwrap();
            prop_assert_eq!(Statement::parse(&bytes).unwrap(), read);
        }
    }

    #[test]
    fn a_name_that_is_taken_is_safe_as_a_path(name in "[a-z./A-Z\\-]{0,12}") {
        if let Ok(parsed) = name.parse::<PluginName>() {
            prop_assert_eq!(parsed.as_str(), name);
            prop_assert!(!parsed.publisher().contains(['.', '/']));
            prop_assert!(!parsed.publisher().is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_signature_with_other_bytes_is_no_signature(changes in changes()) {
        let signer = Signer::new();
        let valid = key::sign(&signer.secret, b"document", "comment").unwrap();
        let text = mutated(valid.clone().into_bytes(), &changes);
        let signed = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).into_owned();
            let mut lines = text.lines().skip(1).map(str::to_owned);
            (lines.next(), lines.next(), lines.next())
        };
        let verified = key::verify(&signer.public(), "x", b"document", &text);
        // The first line is nobody's.
        prop_assert!(verified.is_err() || signed(&text) == signed(valid.as_bytes()));
    }

    #[test]
    fn every_publisher_document_is_read_as_it_was_written(
        keys in 1..=8_usize, threshold in 1..=8_u32, revoked in prop::collection::btree_map("[0-9a-f]{64}", LINE, 0..5),
    ) {
        let signers: Vec<Signer> = (0..keys).map(|_| Signer::new()).collect();
        let signers: Vec<&Signer> = signers.iter().collect();
        let threshold = threshold.min(keys as u32);
        let mut document = first("acme", &signers, threshold).with_revoked_key(&Signer::new().public());
        for (digest, reason) in &revoked {
            document = document.with_revoked_release(digest, reason);
        }
        let document = document.next(&"ab".repeat(32), now(), now() + days(1));
        let bytes = document.to_bytes().unwrap();
        prop_assert_eq!(PublisherDocument::parse(&bytes).unwrap(), document);
    }
}
