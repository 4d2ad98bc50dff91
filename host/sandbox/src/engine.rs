//! The compiler and its settings, one for the whole process.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io, thread};

use wasmtime::{Cache, CacheConfig, Config};

use crate::Error;
use crate::plugin::Plugin;

/// How often the time of a call is looked at.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Bytes of stack that a guest may use. The host's threads have 2 MiB, and its own calls need some beneath the guest's.
const MAX_STACK: usize = 1 << 20;

/// Settings of an [`Engine`].
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// A directory of this user alone, where compiled code is kept; made where absent. Without one each load compiles.
    pub cache: Option<PathBuf>,
    /// Bytes of memory that one instance may have, with what the host takes for its globals and functions: 512 MiB by default.
    pub memory_limit: usize,
    /// How long one call may compute: 60 s by default. Time that the host takes for it is not counted.
    pub call_deadline: Duration,
    /// How long the host may read and probe for one call: an hour by default. A probe that is running then is ended.
    pub look_deadline: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            cache: None,
            memory_limit: 512 << 20,
            call_deadline: Duration::from_secs(60),
            look_deadline: Duration::from_secs(3_600),
        }
    }
}

/// Compiles plugins; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    options: EngineOptions,
}

impl Engine {
    /// Sets the compiler up, and starts the thread that keeps the deadlines.
    pub fn new(options: EngineOptions) -> Result<Self, Error> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .epoch_interruption(true)
            .max_wasm_stack(MAX_STACK);
        if let Some(directory) = &options.cache {
            config.cache(cache(directory)?);
        }
        let wasmtime =
            wasmtime::Engine::new(&config).map_err(|error| Error::Host(format!("{error:#}")))?;
        let engine = wasmtime.weak();
        thread::Builder::new()
            .name("copal-deadline".to_owned())
            .spawn(move || {
                while let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    thread::sleep(TICK);
                }
            })
            .map_err(|error| {
                Error::Host(format!(
                    "the thread that keeps the deadlines can't be started: {error}"
                ))
            })?;
        Ok(Self(Arc::new(Inner { wasmtime, options })))
    }

    /// Loads a plugin from the bytes of a component, compiling it where the cache has it not. Nothing of it runs.
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin, Error> {
        Plugin::load(self.clone(), bytes)
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    /// The settings that it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.0.options
    }
}

/// wasmtime's cache in this directory. It runs what lies there, so nobody else may be able to write to it.
///
/// None where it can't be made: it only saves time.
fn cache(directory: &Path) -> Result<Option<Cache>, Error> {
    let failed = |what: String| {
        let directory = directory.display();
        format!("the cache of compiled plugins, {directory}: {what}")
    };
    let path = match private(directory) {
        Ok(Some(path)) => path,
        Ok(None) => {
            let what =
                "others can write to it; take that permission away, or name another directory";
            return Err(Error::Host(failed(what.to_owned())));
        }
        Err(error) => {
            tracing::warn!(
                "{}; every plugin is compiled anew",
                failed(error.to_string())
            );
            return Ok(None);
        }
    };
    let mut config = CacheConfig::new();
    config.with_directory(path);
    let cache = Cache::new(config);
    cache
        .map(Some)
        .map_err(|error| Error::Host(failed(format!("{error:#}"))))
}

/// Makes the directory where it is absent. None where other users could write to it.
fn private(directory: &Path) -> io::Result<Option<PathBuf>> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let directory = fs::canonicalize(directory)?;
    let metadata = fs::metadata(&directory)?;
    let owner = metadata.uid();
    let is_own =
        metadata.mode() & 0o022 == 0 && [0, rustix::process::geteuid().as_raw()].contains(&owner);
    Ok(is_own.then_some(directory))
}
