//! What commands share: the runtime, the engine of the plugins, the repository, the interrupt.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use copal_job::Context;
use copal_repository::{Identity, InitOptions, Repository};
use copal_sandbox::{Engine, EngineOptions, Plugin};
use copal_storage::{Options, Store};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Global, SourceArgs};
use crate::authority::Keeper;
use crate::config::{Config, Job, Reference, Repository as Repo, Text};
use crate::ending::{self, Ending};
use crate::failure::Failure;
use crate::password::Places;
use crate::{hangup, plugins};

/// One run of the program.
pub(crate) struct Session {
    pub(crate) global: Global,
    /// The publishers that are trusted, and the plugins that are installed.
    pub(crate) trust: copal_trust::Store,
    pub(crate) context: Context,
    ending: Arc<Ending>,
    // Last, so that it outlives whatever still uses it.
    _runtime: Runtime,
}

impl Session {
    pub(crate) fn new(global: Global) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let cancel = Arc::new(AtomicBool::new(false));
        let data = folder("COPAL_DATA_DIR", "XDG_DATA_HOME", ".local/share")?;
        let trust = copal_trust::Store::new(&data);
        let context = Context {
            authority: Arc::new(Keeper(trust.clone())),
            runtime: runtime.handle().clone(),
            state: folder("COPAL_STATE_DIR", "XDG_STATE_HOME", ".local/state")?,
            cancel: cancel.clone(),
            identity: Identity::of_this_process(),
            program: concat!("copal ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let ending = Arc::new(Ending::new(cancel));
        {
            let _guard = runtime.enter();
            if !is_ignored(SignalKind::hangup()) {
                let hangups = signal(SignalKind::hangup())?;
                runtime.spawn(hangup::heed(hangups, ending.clone()));
            }
            for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
                if !is_ignored(kind) {
                    runtime.spawn(ending::heed(signal(kind)?, ending.clone()));
                }
            }
        }
        Ok(Self {
            global,
            trust,
            context,
            ending,
            _runtime: runtime,
        })
    }

    /// The engine that runs plugins; it keeps compiled code in the user's cache.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        let cache = folder("COPAL_CACHE_DIR", "XDG_CACHE_HOME", ".cache")?;
        Ok(Engine::new(EngineOptions {
            cache: Some(cache.join("plugins")),
            call_deadline: Duration::from_secs(self.global.plugin_timeout),
            look_deadline: Duration::from_secs(self.global.plugin_timeout.saturating_mul(60)),
            ..EngineOptions::default()
        })?)
    }

    /// A plugin by name or path.
    pub(crate) fn plugin(&self, engine: &Engine, plugin: &str) -> Result<Plugin, Failure> {
        plugins::load(engine, &self.trust, plugin)
    }

    /// The plugin of a job.
    pub(crate) fn plugin_of(&self, engine: &Engine, job: &Job) -> Result<Plugin, Failure> {
        plugins::of_job(engine, &self.trust, job)
    }

    /// From now on an interrupt asks the work to end and to take back what it did, rather than ending the program. Further ones change nothing:
    /// what was stopped must be started again, and each command that does so has its own limit of time.
    pub(crate) fn interrupts_end_work(&self) {
        self.ending.ends_work();
    }

    /// What an interrupt ends from now on may hold locks, which must not outlive it. For those of others it waits as the command line says, or `own`.
    fn opened(&self, repository: Repository, own: Option<&Repo>) -> Repository {
        let own = || Some(Duration::from_secs(own?.retry_lock?.into()));
        if let Some(patience) = self.global.retry_lock.or_else(own) {
            repository.set_lock_patience(patience);
        }
        self.ending.remember(&repository);
        repository
    }

    /// Returns unless the operator, or the system, has asked the program to end at once.
    pub(crate) fn give_way(&self) {
        self.ending.give_way();
    }

    /// Whether the operator asked the work to end.
    pub(crate) fn interrupted(&self) -> bool {
        self.context.cancel.load(Ordering::Relaxed)
    }

    /// The file of the jobs.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        Config::open(self.global.config.as_deref())
    }

    /// The job that `--job` names, if it does.
    pub(crate) fn job(&self) -> Result<Option<Job>, Failure> {
        let name = self.global.job.as_deref();
        name.map(|name| self.config()?.job(name)).transpose()
    }

    /// Opens the repository.
    pub(crate) fn repository(&self) -> Result<Repository, Failure> {
        self.repository_of(self.job()?.as_ref())
    }

    /// Opens the repository of a job, where there is one.
    pub(crate) fn repository_of(&self, job: Option<&Job>) -> Result<Repository, Failure> {
        let store = self.store(job)?;
        let password = Places::of_repository(&self.global, false).read(self.own_password(job))?;
        let handle = self.context.runtime.clone();
        let repository = Repository::open(store, handle, &password)?;
        Ok(self.opened(repository, job.map(|job| &job.repository)))
    }

    /// Opens the repository that something is taken from.
    pub(crate) fn source(&self, source: &SourceArgs) -> Result<Repository, Failure> {
        let job = source.from_job.as_deref();
        let job = job.map(|name| self.config()?.job(name)).transpose()?;
        let own = job.as_ref().map(|job| &job.repository);
        let url = match own {
            Some(own) => own.url.as_ref().map(Text::reveal).transpose()?,
            None => source.from_repo.clone(),
        };
        let store = self.open(url, own, || match &job {
            Some(job) => format!("Give the job `{}` a `repository`.", job.name),
            None => {
                "Give --from-repo URL or --from-job JOB, or set COPAL_FROM_REPOSITORY.".to_owned()
            }
        })?;
        let password = own.and_then(|own| own.password.as_ref());
        let password = Places::of_source(source).read(password)?;
        let handle = self.context.runtime.clone();
        Ok(self.opened(Repository::open(store, handle, &password)?, own))
    }

    /// Creates the repository.
    pub(crate) fn init(&self, options: &InitOptions) -> Result<Repository, Failure> {
        let job = self.job()?;
        let store = self.store(job.as_ref())?;
        let own = self.own_password(job.as_ref());
        let password = Places::of_repository(&self.global, true).read(own)?;
        let handle = self.context.runtime.clone();
        Ok(Repository::init(store, handle, &password, options)?)
    }

    /// Where the repository is: the command line goes before the job, and the job before the environment.
    fn store(&self, job: Option<&Job>) -> Result<Store, Failure> {
        let own = job.map(|job| &job.repository);
        let url = match own.and_then(|own| own.url.as_ref()) {
            Some(url) if !self.global.said.repository => Some(url.reveal()?),
            _ => self.global.repo.clone(),
        };
        self.open(url, own, || {
            match job {
                Some(_) => "Give the job a `repository`, or give -r URL.",
                None => "Give -r URL, or set COPAL_REPOSITORY.",
            }
            .to_owned()
        })
    }

    /// Opens the place at `url`, with the credentials and limits that a job's own repository has.
    fn open(
        &self,
        url: Option<String>,
        own: Option<&Repo>,
        advice: impl FnOnce() -> String,
    ) -> Result<Store, Failure> {
        let unnamed = || Failure::usage("usage", "no repository is named").advise(advice());
        let url = url.filter(|url| !url.is_empty()).ok_or_else(unnamed)?;
        let variables = own.map(Repo::variables).transpose()?.unwrap_or_default();
        let limits = own.map(Repo::limits).unwrap_or_default();
        let options = Options {
            interrupt: Some(self.context.cancel.clone()),
            ..self.global.storage.options(limits, variables)
        };
        let store = copal_storage::open_with(&url, &options);
        Ok(store.map_err(copal_repository::Error::from)?)
    }

    /// A job's password, which goes before what only the environment says.
    fn own_password<'a>(&self, job: Option<&'a Job>) -> Option<&'a Reference> {
        let own = job.and_then(|job| job.repository.password.as_ref());
        own.filter(|_| !self.global.said.password)
    }
}

/// A folder of Copal's own: from its variable, else within the user's.
fn folder(own: &str, base: &str, fallback: &str) -> Result<PathBuf, Failure> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = set(own) {
        return Ok(std::path::absolute(folder)?);
    }
    let base = set(base).filter(|path| path.is_absolute());
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(fallback)));
    base.map(|base| base.join("copal")).ok_or_else(|| {
        Failure::usage("state", "there is no home directory").advise(format!("Set {own}."))
    })
}

/// Whether the process was started with this signal ignored, as by `nohup`.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}
