//! Dumps by pg_dump 15 of the sample databases, loaded in chunks of every size.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use copal_plugin_cloudfoundry::Loading;
use copal_sdk::{Failure, Filter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A dump, and what its load leaves out.
struct Dump {
    text: Vec<u8>,
    left_out: &'static [&'static str],
    /// What is never loaded.
    gone: &'static [&'static str],
    /// What looks like it within a literal, and is.
    stays: &'static [&'static str],
}

fn dumps() -> [Dump; 4] {
    let read = |name: &str| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
        std::fs::read(format!("{path}{name}")).unwrap()
    };
    let ccdb: &[_] = &["schema_migrations"];
    let uaadb: &[_] = &[
        "identity_zone",
        "identity_provider",
        "schema_version",
        "flyway_schema_history",
        "schema_migrations",
    ];
    [
        Dump {
            text: read("ccdb.inserts.sql"),
            left_out: ccdb,
            gone: &[
                "\nINSERT INTO public.schema_migrations (filename) VALUES ('20130131184954_new_initial_schema.rb');",
            ],
            stays: &["INSERT INTO public.schema_migrations (filename) VALUES (''x'');"],
        },
        Dump {
            text: read("ccdb.copy.sql"),
            left_out: ccdb,
            gone: &["COPY public.schema_migrations (filename) FROM stdin;\n20130131184954"],
            stays: &[
                "INSERT INTO public.schema_migrations (filename) VALUES ('x');",
                "COPY public.apps ",
            ],
        },
        Dump {
            text: read("uaadb.inserts.sql"),
            left_out: uaadb,
            gone: &[
                "\nINSERT INTO public.identity_zone",
                "\nINSERT INTO public.identity_provider",
                "\nINSERT INTO public.schema_version",
            ],
            stays: &[
                "INSERT INTO public.schema_migrations (filename) VALUES (''x'');",
                "\nINSERT INTO public.users",
            ],
        },
        Dump {
            text: read("uaadb.copy.sql"),
            left_out: uaadb,
            gone: &[
                "COPY public.identity_zone",
                "COPY public.identity_provider",
                "COPY public.schema_version",
            ],
            stays: &["COPY public.users (", "\\\\! echo pwned"],
        },
    ]
}

impl Dump {
    /// What is loaded, where the dump comes in chunks that end at `cuts`.
    fn load(&self, cuts: impl IntoIterator<Item = usize>) -> Result<Vec<u8>, Failure> {
        let loading = Loading {
            replaced: BTreeSet::from(["users".to_owned()]),
            left_out: self
                .left_out
                .iter()
                .map(|&table| table.to_owned())
                .collect(),
            ..Loading::default()
        };
        let (mut filter, mut out, mut begin) = (loading.filter(), Vec::new(), 0);
        for cut in cuts.into_iter().chain([self.text.len()]) {
            filter.push(&self.text[begin..cut], &mut out)?;
            begin = cut;
        }
        filter.finish(&mut out)?;
        Ok(out)
    }
}

#[test]
fn what_is_left_out_goes_and_what_looks_like_it_stays() {
    for dump in dumps() {
        let loaded = dump.load([]).unwrap();
        let loaded = String::from_utf8_lossy(&loaded);
        for gone in dump.gone {
            assert!(String::from_utf8_lossy(&dump.text).contains(gone), "{gone}");
            assert!(!loaded.contains(gone), "{gone}");
        }
        for stays in dump.stays {
            assert!(loaded.contains(stays), "{stays}");
        }
        assert!(loaded.starts_with("BEGIN;\n") && loaded.ends_with("\nCOMMIT;\n"));
    }
}

#[test]
fn every_chunk_size_from_one_byte_up_loads_the_same() {
    for dump in dumps() {
        let whole = dump.load([]).unwrap();
        for size in (1..=300).chain([1_000, 4_096, 65_536]) {
            let cuts = (size..dump.text.len()).step_by(size);
            assert!(dump.load(cuts).unwrap() == whole, "chunks of {size} bytes");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_load_the_same(cuts in vec(any::<Index>(), 0..40)) {
        for dump in dumps() {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(dump.text.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert!(dump.load(cuts).unwrap() == dump.load([]).unwrap());
        }
    }

    #[test]
    fn a_dump_that_is_cut_off_is_never_committed(at in any::<Index>()) {
        for mut dump in dumps() {
            // Behind this, nothing is left but an end.
            let complete = b"-- PostgreSQL database dump complete";
            let last = dump.text.windows(complete.len()).rposition(|text| text == complete).unwrap();
            dump.text.truncate(at.index(last + complete.len()));
            prop_assert!(dump.load([]).is_err());
        }
    }
}
