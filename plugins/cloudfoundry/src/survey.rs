//! What a database holds, found out by one read-only transaction of psql: its tables, a digest of their rows, and what a restore has to know.

use copal_sdk::Failure;
use serde::{Deserialize, Serialize};

/// A survey's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Survey {
    /// The server's version, such as `15.3`.
    pub(crate) server: String,
    /// Whether the role may do everything.
    pub(crate) superuser: bool,
    tables: Option<Vec<Table>>,
    sequences: Option<Vec<Sequence>>,
    digests: Option<Vec<Digest>>,
    violations: Option<Vec<Violation>>,
    /// How many foreign keys were looked at.
    pub(crate) keys: Option<u64>,
    /// The names or versions of the schema's migrations.
    migrations: Option<Vec<String>>,
    /// The shared domains.
    domains: Option<Vec<String>>,
    buildpacks: Option<Vec<String>>,
    sealed_groups: Option<Vec<Sealed>>,
    sealed_brokers: Option<Vec<Sealed>>,
    sealed_apps: Option<Vec<Sealed>>,
    admins: Option<Vec<Admin>>,
    /// The apps of ccdb; the users of uaadb other than the administrator.
    occupants: Option<Occupants>,
}

/// A table of the schema `public`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Whether it has a row.
    pub(crate) filled: Option<bool>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Whether a row must say something here: the column takes no `NULL` and has no default.
    pub(crate) required: bool,
}

/// A sequence of the schema `public`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sequence {
    pub(crate) name: String,
    /// The table whose column owns it.
    pub(crate) table: Option<String>,
}

/// The rows of a table, whatever their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) table: String,
    pub(crate) rows: u64,
    /// MD5 over the sums of the halves of the MD5 of each row's text.
    pub(crate) digest: String,
}

/// A foreign key that rows break.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Violation {
    pub(crate) key: String,
    pub(crate) table: String,
    pub(crate) rows: u64,
}

/// A value that the Cloud Controller encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// Base64.
    pub(crate) value: String,
    pub(crate) salt: Option<String>,
    /// Which of several keys, where the release knows several.
    pub(crate) label: Option<String>,
    pub(crate) iterations: Option<String>,
}

/// A user `admin` of UAA itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Admin {
    pub(crate) id: String,
    pub(crate) zone: String,
}

/// Who is in a database, to tell a fresh one from one in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Occupants {
    pub(crate) count: u64,
    /// The same for the same ones.
    pub(crate) digest: Option<String>,
}

impl Survey {
    /// Reads what psql wrote about the database that `what` names.
    pub(crate) fn parse(output: &[u8], what: &str) -> Result<Self, Failure> {
        serde_json::from_slice(output).map_err(|error| {
            Failure::corrupt(
                "cloudfoundry.survey.unreadable",
                format!("what psql says of {what} can't be read: {error}"),
            )
        })
    }

    pub(crate) fn tables(&self) -> &[Table] {
        self.tables.as_deref().unwrap_or_default()
    }

    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.tables().iter().find(|table| table.name == name)
    }

    pub(crate) fn sequences(&self) -> &[Sequence] {
        self.sequences.as_deref().unwrap_or_default()
    }

    pub(crate) fn digests(&self) -> &[Digest] {
        self.digests.as_deref().unwrap_or_default()
    }

    pub(crate) fn violations(&self) -> &[Violation] {
        self.violations.as_deref().unwrap_or_default()
    }

    pub(crate) fn migrations(&self) -> &[String] {
        self.migrations.as_deref().unwrap_or_default()
    }

    pub(crate) fn domains(&self) -> &[String] {
        self.domains.as_deref().unwrap_or_default()
    }

    pub(crate) fn buildpacks(&self) -> &[String] {
        self.buildpacks.as_deref().unwrap_or_default()
    }

    pub(crate) fn admins(&self) -> &[Admin] {
        self.admins.as_deref().unwrap_or_default()
    }

    pub(crate) fn occupants(&self) -> Option<&Occupants> {
        self.occupants.as_ref()
    }

    /// The same without values that the Cloud Controller encrypted, for a manifest, which people read.
    pub(crate) fn without_sealed(self) -> Self {
        Self {
            sealed_groups: None,
            sealed_brokers: None,
            sealed_apps: None,
            ..self
        }
    }

    /// Encrypted values, a few of each kind.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = &Sealed> {
        [&self.sealed_groups, &self.sealed_brokers, &self.sealed_apps]
            .into_iter()
            .flatten()
            .flatten()
    }
}
