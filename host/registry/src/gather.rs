//! Collecting a release's files from anywhere.

use bytes::Bytes;
use copal_trust::{Bundle, BundleError};

use crate::Error;

/// What came of a release so far.
#[derive(Debug)]
pub(crate) struct Gathered {
    place: String,
    bundle: Bundle,
}

impl Gathered {
    /// Nothing yet, from `place`.
    pub(crate) fn new(place: &str) -> Self {
        Self {
            place: place.to_owned(),
            bundle: Bundle::default(),
        }
    }

    /// How many bytes a file of this name may still have; none where no release has such a file.
    pub(crate) fn limit(&self, name: &str) -> Option<usize> {
        self.bundle.room(name)
    }

    /// Adds a file of a release.
    ///
    /// # Errors
    /// It is too large, or there already, or no file of a release.
    pub(crate) fn add(&mut self, name: &str, bytes: Bytes) -> Result<(), Error> {
        let limit = self.limit(name).unwrap_or_default();
        self.bundle
            .insert(name, bytes)
            .map_err(|error| match error {
                BundleError::Twice(file) => Error::Twice {
                    place: self.place.clone(),
                    file,
                },
                BundleError::Size { .. } | BundleError::Documents { .. } => {
                    self.too_large(name, limit)
                }
                BundleError::Name(_) => Error::Registry {
                    place: self.place.clone(),
                    reason: error.to_string(),
                },
            })
    }

    /// A file that came already.
    pub(crate) fn get(&self, name: &str) -> Option<&Bytes> {
        self.bundle.get(name)
    }

    /// Whether nothing came yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.bundle.files().next().is_none()
    }

    /// The release.
    ///
    /// # Errors
    /// Nothing came.
    pub(crate) fn finish(self) -> Result<Bundle, Error> {
        if self.is_empty() {
            return Err(Error::Empty { place: self.place });
        }
        Ok(self.bundle)
    }

    /// The refusal of a large file.
    pub(crate) fn too_large(&self, name: &str, limit: usize) -> Error {
        Error::TooLarge {
            place: self.place.clone(),
            file: name.to_owned(),
            limit,
        }
    }
}

/// What keeps a place that holds `existing` from becoming `wanted` by adding files alone.
pub(crate) fn difference(existing: &Bundle, wanted: &Bundle) -> Option<String> {
    existing.files().find_map(|(name, bytes)| {
        let wanted = wanted.get(name);
        match wanted {
            Some(wanted) if wanted == bytes => None,
            Some(_) => Some(format!("another {name}")),
            None => Some(format!("{name}, which the release has not")),
        }
    })
}

/// Refuses signatures whose numbers leave one out: a transport that can't list stops asking there, and the rest would be lost.
pub(crate) fn without_gap(bundle: &Bundle) -> Result<(), Error> {
    for (document, _) in bundle.files().filter(|(name, _)| name.ends_with(".json")) {
        let mut missing = None;
        for name in Bundle::signature_names(document) {
            match (bundle.get(&name), &missing) {
                (Some(_), Some(missing)) => {
                    return Err(Error::Gap {
                        file: name,
                        missing: String::clone(missing),
                    });
                }
                (None, None) => missing = Some(name),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use copal_trust::{COMPONENT, STATEMENT};

    use super::*;

    fn add(gathered: &mut Gathered, name: &str, size: usize) -> Result<(), Error> {
        gathered.add(name, Bytes::from(vec![0; size]))
    }

    #[test]
    fn a_file_that_comes_twice_is_refused_even_if_it_is_the_same() {
        let mut gathered = Gathered::new("/place");
        add(&mut gathered, STATEMENT, 3).unwrap();
        let error = add(&mut gathered, STATEMENT, 3).unwrap_err();
        assert!(matches!(error, Error::Twice { .. }), "{error}");
    }

    #[test]
    fn documents_are_bounded_together_and_leave_the_component_its_own() {
        let mut gathered = Gathered::new("/place");
        for version in 1..=32 {
            add(&mut gathered, &format!("publisher.{version}.json"), 1 << 20).unwrap();
        }
        assert_eq!(gathered.limit(STATEMENT), Some(0));
        let error = add(&mut gathered, STATEMENT, 1).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 0, .. }), "{error}");
        add(&mut gathered, COMPONENT, 2 << 20).unwrap();
        assert_eq!(gathered.finish().unwrap().files().count(), 33);
    }

    #[test]
    fn a_signature_behind_a_gap_is_refused() {
        let mut bundle = Bundle::default();
        for name in [STATEMENT, "release.json.minisig", "release.json.1.minisig"] {
            bundle.insert(name, Bytes::new()).unwrap();
        }
        assert!(without_gap(&bundle).is_ok());
        bundle
            .insert("release.json.3.minisig", Bytes::new())
            .unwrap();
        let error = without_gap(&bundle).unwrap_err().to_string();
        assert_eq!(
            error,
            "the release holds release.json.3.minisig, but not release.json.2.minisig before it"
        );
    }

    #[test]
    fn a_place_without_any_file_of_a_release_holds_none() {
        let error = Gathered::new("/place").finish().unwrap_err();
        assert!(matches!(error, Error::Empty { .. }), "{error}");
    }
}
