//! Finding a plugin by what the operator calls it: embedded, installed, or a file.

use std::path::Path;

use copal_sandbox::{Engine, Plugin};
use copal_trust::{COMPONENT, PluginName, Store};

use crate::bundled;
use crate::config::Job;
use crate::failure::Failure;

/// The largest component that is read from a path.
const LIMIT: u64 = 128 << 20;

/// The plugin of that name (`jpom`, `copal/jpom` or `acme/notebook`) or at that path.
pub(crate) fn load(engine: &Engine, store: &Store, plugin: &str) -> Result<Plugin, Failure> {
    if let Some(component) = bundled::find(plugin) {
        return Ok(engine.load(component)?);
    }
    let name = plugin.parse::<PluginName>().ok();
    let installed = match &name {
        Some(name) => store.installed(name)?,
        None => None,
    };
    if let Some(installed) = installed {
        let bundle = installed.bundle()?;
        let component = bundle.get(COMPONENT).map(|bytes| bytes.to_vec());
        return Ok(engine.load(&component.unwrap_or_default())?);
    }
    let path = Path::new(plugin);
    if !path.is_file() {
        return Err(unknown(plugin, name.is_some()));
    }
    Ok(engine.load(&read(path)?)?)
}

fn unknown(plugin: &str, is_name: bool) -> Failure {
    let names: Vec<_> = bundled::all().map(|(name, _)| name).collect();
    let message = format!(
        "there is no plugin `{plugin}`: Copal brings {}, none of this name is installed, and no file has this path",
        names.join(", ")
    );
    let advice = match is_name {
        true => {
            "`copal plugin install SOURCE` installs one; `copal plugin list` shows what there is."
        }
        false => "`copal plugin list` shows what there is.",
    };
    Failure::usage("unknown-plugin", message).advise(advice)
}

/// The component in a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |problem: String| {
        let path = path.display();
        Failure::usage(
            "plugin-invalid",
            format!("can't read the plugin {path}: {problem}"),
        )
    };
    let size = path
        .metadata()
        .map_err(|e| unreadable(e.to_string()))?
        .len();
    if size > LIMIT {
        let problem = format!("it has {size} bytes, and a component has at most {LIMIT}");
        return Err(unreadable(problem));
    }
    std::fs::read(path).map_err(|e| unreadable(e.to_string()))
}

/// The plugin of a job, if it is the one that the job was written for.
pub(crate) fn of_job(engine: &Engine, store: &Store, job: &Job) -> Result<Plugin, Failure> {
    let plugin = load(engine, store, &job.plugin)?;
    let digest = plugin.digest();
    match &job.digest {
        Some(pinned) if pinned != digest => {
            let message = format!(
                "the plugin {} is not the one that the job `{}` was written for: its SHA-256 is {digest}, and the job's `digest` is {pinned}",
                job.plugin, job.name
            );
            let advice = "Find out who replaced it. If this one may have the job's grants, put its SHA-256 into the job.";
            Err(Failure::usage("plugin-swapped", message).advise(advice))
        }
        // A name stands for an embedded plugin or for an installed one, whose digest is known.
        None if Path::new(&job.plugin).is_absolute() && !job.grants.is_empty() => {
            let message = format!(
                "the job `{}` gives grants to whatever lies at {}",
                job.name, job.plugin
            );
            let advice = format!(
                "Put `digest = \"{digest}\"` into the job, or install the plugin and use its name."
            );
            Err(Failure::usage("plugin-unpinned", message).advise(advice))
        }
        _ => Ok(plugin),
    }
}
