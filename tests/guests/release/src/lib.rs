//! A plugin that saves one directory, stops a container meanwhile if it is told to, and is whatever release a test makes of it: what it says of
//! itself stands in a block of its bytes that the test writes over.

use std::hint::black_box;

use copal_sdk::{
    BackupPlan, BackupRequest, Command, Description, Detection, Failure, Plugin, Probe,
    RestorePlan, RestoreRequest, Source, Step, Tree, export,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The mark that the block begins with.
const MARK: usize = 16;

/// JSON of a [`Release`], filled up with blanks.
static BLOCK: [u8; 1024] = {
    let mut block = [b' '; 1024];
    let text = br#"@release-block@ {"name":"acme/notebook","version":"1.0.0","capabilities":[]}"#;
    let mut i = 0;
    while i < text.len() {
        block[i] = text[i];
        i += 1;
    }
    block
};

/// What the plugin says of itself.
#[derive(Deserialize)]
struct Release {
    name: String,
    version: String,
    capabilities: Vec<(String, String)>,
}

fn release() -> Option<Release> {
    let block: &[u8] = black_box(&BLOCK);
    serde_json::from_slice(block.get(MARK..)?).ok()
}

/// What an operator can set.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A container that is stopped while the directory is read, and when it is restored.
    container: Option<String>,
}

impl Config {
    fn stop(&self) -> Option<Step> {
        let container = self.container.as_deref()?;
        let title = format!("Stop the container {container}");
        let step = Step::new("stop", title, Command::new(["docker", "stop", container]));
        Some(step.undo(Command::new(["docker", "start", container])))
    }
}

/// The plugin.
pub struct Subject;

impl Plugin for Subject {
    type Config = Config;
    type Pass = ();

    fn describe() -> Description {
        let release = release().unwrap_or(Release {
            name: "tests/damaged-block".to_owned(),
            version: "0.0.0".to_owned(),
            capabilities: Vec::new(),
        });
        let description = Description::new(release.name, release.version, "Saves a notebook.");
        let description = description.root("files", "The notebook's directory", &[]);
        let capabilities = release.capabilities.into_iter();
        capabilities.fold(description, |description, (grant, reason)| {
            description.capability(grant, reason)
        })
    }

    fn detect(root: &dyn Tree, _probe: &dyn Probe) -> Result<Option<Detection>, Failure> {
        let found = root.exists("notebook.ini")?;
        Ok(found.then(|| Detection::new("Notebook", "files", 90)))
    }

    fn plan_backup(request: &BackupRequest<'_, Config>) -> Result<BackupPlan, Failure> {
        let plan = BackupPlan::new().source(Source::tree("files"));
        Ok(match request.config.stop() {
            Some(step) => plan.quiesce(step),
            None => plan,
        })
    }

    fn plan_restore(request: &RestoreRequest<'_, Config>) -> Result<RestorePlan, Failure> {
        let plan = RestorePlan::whole(&request.snapshot, &request.targets);
        Ok(match request.config.stop() {
            Some(step) => plan.before(step),
            None => plan,
        })
    }
}

export!(Subject);
