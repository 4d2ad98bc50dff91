//! Facts: what a backup recorded for a later restore.

use serde::de::DeserializeOwned;

use crate::{Fact, Failure};

/// The facts of a snapshot's manifest.
///
/// ```
/// use copal_sdk::{BackupPlan, Facts, Failure};
///
/// let plan = BackupPlan::new().fact("version", "2.4.1").fact("encrypted", true);
/// // In a restore they are `request.facts`.
/// let facts = Facts::from(plan.facts);
/// assert_eq!(facts.require::<String>("version")?, "2.4.1");
/// assert_eq!(facts.get::<u32>("users")?, None);
/// assert_eq!(facts.require::<u32>("users").unwrap_err().code, "sdk.fact.missing");
/// # Ok::<(), Failure>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<Fact>);

impl Facts {
    /// The fact of that name, or `None` where the backup recorded none. Fails with `corrupt` where it is of another shape.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(fact) = self.0.iter().find(|fact| fact.name == name) else {
            return Ok(None);
        };
        serde_json::from_str(&fact.value)
            .map(Some)
            .map_err(|error| {
                Failure::corrupt(
                    "sdk.fact.shape",
                    format!("the snapshot's fact `{name}` is not as expected: {error}"),
                )
            })
    }

    /// The fact of that name. Fails with `missing` where the backup recorded none.
    pub fn require<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        self.get(name)?.ok_or_else(|| {
            Failure::missing(
                "sdk.fact.missing",
                format!("the snapshot has no fact `{name}`"),
            )
        })
    }
}

impl From<Vec<Fact>> for Facts {
    fn from(facts: Vec<Fact>) -> Self {
        Self(facts)
    }
}
