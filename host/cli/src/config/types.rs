//! What stands in `copal.toml`. The JSON Schema of the file is made from these types, so what is said of a field here is what an editor shows.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use copal_repository::forget::RetentionPolicy;
use copal_sandbox::{Grant, types};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::format::{GrantText, TagText};
use super::reference::{Reference, Text};
use crate::args::IntentArg;

/// Copal's jobs: what is backed up, where to, and how it is restored, migrated and rehearsed.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[schemars(title = "copal.toml")]
#[serde(default)]
pub(crate) struct File {
    /// The repository of every job that names no other.
    pub(crate) repository: Repository,
    /// The jobs by name: 1 to 64 lower-case letters, digits and `-`.
    #[schemars(extend("propertyNames" = {"format": "copal-job", "pattern": "^[a-z0-9-]{1,64}$"}))]
    pub(crate) jobs: BTreeMap<String, Job>,
}

/// Where snapshots are kept.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Repository {
    /// A path, or a URL with `s3://`, `b2://`, `gs://`, `az://`, `sftp://` or `https://` (WebDAV).
    pub(crate) url: Option<Text>,
    /// The repository's password.
    pub(crate) password: Option<Reference>,
    /// What reaches the storage service, spelled as its environment variables: `AWS_…`, `B2_…`, `GOOGLE_…`, `AZURE_…`, and `COPAL_SSH`.
    #[schemars(extend("propertyNames" = {"format": "copal-storage"}))]
    pub(crate) environment: BTreeMap<String, Text>,
    /// KiB a second that are sent to the storage at most.
    #[serde(rename = "limit-upload")]
    pub(crate) limit_upload: Option<NonZeroU32>,
    /// KiB a second that are received from the storage at most.
    #[serde(rename = "limit-download")]
    pub(crate) limit_download: Option<NonZeroU32>,
    /// Seconds that a request to the storage may stand still before it is given up; 300 without it.
    #[schemars(range(min = 1, max = 86_400))]
    pub(crate) timeout: Option<u32>,
    /// Seconds to wait for another program's lock to go; without it there is no waiting.
    #[serde(rename = "retry-lock")]
    pub(crate) retry_lock: Option<u32>,
}

/// One application at one place.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Job {
    /// The plugin that knows the application: a name such as `jpom` or `acme/notebook`, or the path of a component.
    #[schemars(length(min = 1))]
    pub(crate) plugin: String,
    /// The SHA-256 of the plugin's component, 64 hexadecimal digits: no other is used for the job. A plugin that is a file needs it, since whoever
    /// can replace the file would have the job's grants and secrets.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub(crate) digest: Option<String>,
    /// The directories to read, by the plugin's names for them.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"format": "copal-root"}))]
    pub(crate) roots: BTreeMap<String, PathBuf>,
    /// The plugin's settings for a backup, as `copal plugin info` lists them. Any value may stand elsewhere, such as `{ env = "NAME" }`; a
    /// secret must.
    #[serde(default)]
    pub(crate) config: Map<String, Value>,
    /// What the plugin may have done for a backup, such as `run:docker stop jpom`.
    #[serde(default)]
    #[schemars(with = "Vec<GrantText>")]
    pub(crate) grants: Vec<Grant>,
    /// Tags of the snapshots, besides `job:NAME`.
    #[serde(default)]
    #[schemars(with = "Vec<TagText>")]
    pub(crate) tags: Vec<String>,
    /// The job's own repository; what it does not say is taken from `[repository]`.
    #[serde(default)]
    pub(crate) repository: Repository,
    /// Which of the job's snapshots are kept. Applied after each complete backup; without it all are kept.
    #[serde(default)]
    pub(crate) retention: Option<RetentionPolicy>,
    /// Commands whose output is stored beside what the plugin reads. They are your own and need no grants.
    #[serde(default)]
    pub(crate) streams: Vec<Stream>,
    /// Commands run around a backup.
    #[serde(default)]
    pub(crate) hooks: Hooks,
    /// How `copal restore --job` puts a snapshot back.
    #[serde(default)]
    pub(crate) restore: Option<Restore>,
    /// How `copal migrate --job` brings the application to another place.
    #[serde(default)]
    pub(crate) migrate: Option<Place>,
    /// How `copal drill` rehearses a restore.
    #[serde(default)]
    pub(crate) drill: Option<Drill>,
    /// The job's name; not part of its table.
    #[serde(skip_deserializing)]
    pub(crate) name: String,
}

/// A place that a snapshot is restored to. Nothing is taken over from the backup: its settings and grants speak of another place.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Place {
    /// The directories to fill, by the plugin's names for them.
    #[schemars(extend("propertyNames" = {"format": "copal-root"}))]
    pub(crate) roots: BTreeMap<String, PathBuf>,
    /// The plugin's settings here. Any value may stand elsewhere, such as `{ env = "NAME" }`; a secret must.
    pub(crate) config: Map<String, Value>,
    /// What the plugin may have done here, such as `run:docker stop jpom`.
    #[schemars(with = "Vec<GrantText>")]
    pub(crate) grants: Vec<Grant>,
    /// Why: for the same place, for a new place, or beside the old one. Without it the plugin's first; for `migrate`, a new place.
    pub(crate) intent: Option<IntentArg>,
    /// Commands that your own streams are fed to, by the streams' names. Without one, a stream is left out.
    #[schemars(extend("propertyNames" = {"format": "copal-stream"}))]
    pub(crate) streams: BTreeMap<String, Feed>,
    /// Commands run around it.
    pub(crate) hooks: Hooks,
}

/// How `copal restore --job` puts a snapshot back.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Restore {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The snapshot; without it the job's latest.
    pub(crate) snapshot: Option<String>,
}

/// How `copal drill` rehearses a restore: into a scratch place, which is removed afterwards. `roots` are directories that the plugin looks at
/// and the snapshot does not hold; it gets a copy of each.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Drill {
    #[serde(flatten)]
    pub(crate) place: Place,
    /// A PostgreSQL server that lives as long as the drill.
    pub(crate) postgres: Option<Postgres>,
    /// The directory that the evidence is written to; without it `evidence` among Copal's own files.
    pub(crate) evidence: Option<PathBuf>,
    /// Where the scratch place is made; without it among Copal's own files, and the server in the system's folder for temporary files.
    pub(crate) directory: Option<PathBuf>,
}

/// A PostgreSQL server that lives as long as the drill.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Postgres {
    /// The databases to make in it.
    pub(crate) databases: Vec<String>,
    /// Commands run once it is up, such as `["psql", "-d", "ccdb", "-f", "schema.sql"]`. They find the server by `PGHOST`, `PGPORT` and
    /// `PGUSER`; so do the commands that streams are fed to. In the drill's `config`, `{postgres.host}`, `{postgres.port}` and
    /// `{postgres.user}` stand for the server's.
    #[schemars(inner(inner(length(min = 1)), length(min = 1)))]
    pub(crate) prepare: Vec<Vec<String>>,
    /// Where PostgreSQL's programs are, such as `/usr/lib/postgresql/15/bin`. Without it they are looked for.
    pub(crate) bin: Option<PathBuf>,
    /// The user that the server runs as where Copal runs as root; without it `postgres`.
    #[schemars(length(min = 1))]
    pub(crate) user: Option<String>,
    /// Seconds after which each command is ended.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout: u32,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            databases: Vec::new(),
            prepare: Vec::new(),
            bin: None,
            user: None,
            timeout: stream_timeout(),
        }
    }
}

/// A command whose output is stored as a file of the snapshot, beneath `streams/`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Stream {
    /// The file's name, such as `extra.sql`.
    #[schemars(extend("format" = "copal-stream"))]
    pub(crate) name: String,
    /// The program and its arguments, such as `["pg_dump", "extra"]`. There is no shell.
    #[schemars(length(min = 1))]
    pub(crate) command: Vec<String>,
    /// Variables for the command, which gets `PATH`, `HOME`, `USER`, `LANG`, `LC_ALL` and `TZ` besides.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"format": "copal-variable"}))]
    pub(crate) environment: BTreeMap<String, Text>,
    /// When it runs.
    #[serde(default)]
    pub(crate) window: Window,
    /// Seconds after which it is ended.
    #[serde(default = "stream_timeout")]
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout: u32,
}

/// A command that reads a stream on its standard input.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Feed {
    /// The program and its arguments, such as `["psql", "extra"]`. There is no shell.
    #[schemars(length(min = 1))]
    pub(crate) command: Vec<String>,
    /// Variables for the command, which gets `PATH`, `HOME`, `USER`, `LANG`, `LC_ALL` and `TZ` besides.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"format": "copal-variable"}))]
    pub(crate) environment: BTreeMap<String, Text>,
    /// Seconds after which it is ended.
    #[serde(default = "stream_timeout")]
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout: u32,
}

/// When a stream is read.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Window {
    /// While the application is stopped or held.
    #[default]
    Quiesced,
    /// After it runs again.
    Live,
}

impl From<Window> for types::Window {
    fn from(window: Window) -> Self {
        match window {
            Window::Quiesced => Self::Quiesced,
            Window::Live => Self::Live,
        }
    }
}

/// Lists of commands, each the program and its arguments. They are told `COPAL_JOB` and `COPAL_OPERATION`, and after the work
/// `COPAL_STATUS` (`succeeded`, `incomplete` or `failed`) and `COPAL_SNAPSHOT`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Hooks {
    /// Run first, before the plan is made. Where one fails, the job is not done.
    #[schemars(inner(inner(length(min = 1)), length(min = 1)))]
    pub(crate) before: Vec<Vec<String>>,
    /// Run after the job succeeded completely.
    #[schemars(inner(inner(length(min = 1)), length(min = 1)))]
    pub(crate) after: Vec<Vec<String>>,
    /// Run after the job failed, was refused or is incomplete.
    #[schemars(inner(inner(length(min = 1)), length(min = 1)))]
    pub(crate) failed: Vec<Vec<String>>,
    /// Run last in any case.
    #[schemars(inner(inner(length(min = 1)), length(min = 1)))]
    pub(crate) finally: Vec<Vec<String>>,
    /// Seconds after which a command is ended.
    #[schemars(range(min = 1, max = 604_800))]
    pub(crate) timeout: u32,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            before: Vec::new(),
            after: Vec::new(),
            failed: Vec::new(),
            finally: Vec::new(),
            timeout: 600,
        }
    }
}

fn stream_timeout() -> u32 {
    3_600
}
