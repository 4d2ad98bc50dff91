//! Finding a plugin by what the operator calls it: embedded, installed, or a file.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use copal_sandbox::{Engine, MAX_COMPONENT, Plugin};
use copal_trust::{Capability, Described, Installed, PluginName, Store};

use crate::bundled;
use crate::config::Job;
use crate::failure::Failure;

/// Where a plugin is.
enum Found {
    Embedded(&'static [u8]),
    Installed(Box<Installed>),
    File(PathBuf),
}

/// The plugin of that name (`jpom`, `copal/jpom` or `acme/notebook`) or at that path.
pub(crate) fn load(engine: &Engine, store: &Store, plugin: &str) -> Result<Plugin, Failure> {
    let found = find(store, plugin)?;
    let plugin = found.load(engine)?;
    found.confirm(&plugin)?;
    Ok(plugin)
}

/// The component of that name or at that path; nothing has looked at it yet.
pub(crate) fn component(store: &Store, plugin: &str) -> Result<Cow<'static, [u8]>, Failure> {
    find(store, plugin)?.component()
}

/// Whether the text means a file and never a name: a path says so by how it begins, or by the ending of components. Otherwise whatever lies in the
/// working directory could take a name's place.
pub(crate) fn is_path(plugin: &str) -> bool {
    let begins = ["/", "./", "../"]
        .iter()
        .any(|begin| plugin.starts_with(begin));
    begins || plugin.ends_with(".wasm")
}

/// The full name of a plugin that is called by a name: `jpom` is `copal/jpom`. None where it is called by a path.
pub(crate) fn full_name(plugin: &str) -> Option<String> {
    if is_path(plugin) {
        return None;
    }
    Some(match bundled::find(plugin) {
        Some(_) if !plugin.contains('/') => format!("copal/{plugin}"),
        _ => plugin.to_owned(),
    })
}

fn find(store: &Store, plugin: &str) -> Result<Found, Failure> {
    if is_path(plugin) {
        let path = Path::new(plugin);
        return match path.is_file() {
            true => Ok(Found::File(path.to_owned())),
            false if path.is_dir() => Err(unknown(plugin, "this is a folder")),
            false => Err(unknown(plugin, "no file has this path")),
        };
    }
    if let Some(component) = bundled::find(plugin) {
        return Ok(Found::Embedded(component));
    }
    let installed = match plugin.parse::<PluginName>() {
        Ok(name) => store.installed(&name)?,
        Err(_) => None,
    };
    match installed {
        Some(installed) => Ok(Found::Installed(Box::new(installed))),
        None => Err(unknown(plugin, "none of this name is installed")),
    }
}

impl Found {
    fn component(&self) -> Result<Cow<'static, [u8]>, Failure> {
        Ok(match self {
            Self::Embedded(component) => Cow::Borrowed(*component),
            Self::Installed(installed) => installed.component()?.to_vec().into(),
            Self::File(path) => read(path)?.into(),
        })
    }

    /// Loads it, and runs nothing of it yet.
    fn load(&self, engine: &Engine) -> Result<Plugin, Failure> {
        Ok(engine.load(&self.component()?)?)
    }

    /// Refuses one that no longer says of itself what it said when it was installed.
    fn confirm(&self, plugin: &Plugin) -> Result<(), Failure> {
        if let Self::Installed(installed) = self {
            installed.confirm(&described(plugin)?)?;
        }
        Ok(())
    }
}

/// What the component says of itself. It is run for that, with nothing granted.
pub(crate) fn described(plugin: &Plugin) -> Result<Described, Failure> {
    let description = plugin.describe()?;
    let capabilities = description.capabilities.iter();
    Ok(Described {
        name: description.name.clone(),
        version: description.version.clone(),
        imports: plugin.imports().to_vec(),
        capabilities: capabilities
            .map(|capability| Capability {
                grant: capability.grant.clone(),
                reason: capability.reason.clone(),
            })
            .collect(),
    })
}

fn unknown(plugin: &str, problem: &str) -> Failure {
    let names: Vec<_> = bundled::all().map(|(name, _)| name).collect();
    let message = format!(
        "there is no plugin `{plugin}`: Copal brings {}, and {problem}",
        names.join(", ")
    );
    let advice = match is_path(plugin) {
        _ if Path::new(plugin).is_dir() => {
            "The plugin comes before the folders that it is to look at, as in `copal backup files FOLDER`."
        }
        true => "`copal plugin list` shows what there is by name.",
        false => {
            "`copal plugin install SOURCE` installs one, and `copal plugin list` shows what there is. A file is named by a path that begins with `./` or `/`, or ends in `.wasm`."
        }
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
    let failed = |error: std::io::Error| unreadable(error.to_string());
    // Not to wait at a pipe for its other end.
    let mut options = File::options();
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = options.read(true).custom_flags(nonblocking).open(path);
    let file = file.map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(unreadable("it is no plain file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_COMPONENT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > MAX_COMPONENT {
        let problem =
            format!("it has more than the {MAX_COMPONENT} bytes that a component has at most");
        return Err(unreadable(problem));
    }
    Ok(bytes)
}

/// The plugin of a job, if it is the one that the job was written for.
pub(crate) fn of_job(engine: &Engine, store: &Store, job: &Job) -> Result<Plugin, Failure> {
    of_job_as(engine, store, &job.name, &job.plugin, job.digest.as_deref())
}

/// The same, of what a job's table says: its plugin, a path being absolute, and its `digest`.
pub(crate) fn of_job_as(
    engine: &Engine,
    store: &Store,
    job: &str,
    plugin: &str,
    pin: Option<&str>,
) -> Result<Plugin, Failure> {
    let found = find(store, plugin)?;
    let loaded = found.load(engine)?;
    let digest = loaded.digest();
    match (pin, &found) {
        (Some(pinned), _) if pinned != digest => {
            let message = format!(
                "the plugin {plugin} is not the one that the job `{job}` was written for: its SHA-256 is {digest}, and the job's `digest` is {pinned}"
            );
            let advice = "Find out who replaced it. If this one may have the job's grants, put its SHA-256 into the job.";
            Err(Failure::usage("plugin-swapped", message).advise(advice))
        }
        // A name stands for an embedded plugin or for an installed one, whose digest is known.
        (None, Found::File(_)) => {
            let advice = format!(
                "Put `digest = \"{digest}\"` into the job, or install the plugin and use its name."
            );
            Err(unpinned(job, plugin).advise(advice))
        }
        _ => {
            found.confirm(&loaded)?;
            Ok(loaded)
        }
    }
}

/// The refusal of a job that names a file, and not which one.
pub(crate) fn unpinned(job: &str, plugin: &str) -> Failure {
    let message = format!(
        "the job `{job}` would give its grants and secrets to whatever lies at {plugin}, since it has no `digest`"
    );
    Failure::usage("plugin-unpinned", message)
}
