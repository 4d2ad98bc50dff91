//! What commands share: the runtime, the engine of the plugins, the repository, the interrupt.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use copal_job::Context;
use copal_repository::{Error, Identity, InitOptions, LockGuard, LockMode, Repository};
use copal_sandbox::{Engine, EngineOptions, Plugin};
use copal_storage::{Options, Store};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Global, SourceArgs};
use crate::authority::Keeper;
use crate::config::{Config, Job, Reference, Repository as Repo, Text};
use crate::ending::{self, Ending, MOMENT};
use crate::failure::Failure;
use crate::password::Places;
use crate::{hangup, output, plugins};

/// The pauses before another try where another program's lock is in the way: at least this, then longer and longer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A repository that work begins on.
pub(crate) struct Entered {
    pub(crate) repository: Repository,
    /// What reads has it from its beginning, and so has whoever waited for others. To be kept until the work has one of its own, so that nobody who must
    /// be alone gets in between.
    pub(crate) lock: Option<LockGuard>,
    /// How long it took to open it.
    pub(crate) opened: Duration,
}

/// Gives up the lock that was waited for, where the work came to its end without it.
pub(crate) struct Leaving<'a>(&'a Session);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.entered.take();
    }
}

/// One run of the program.
pub(crate) struct Session {
    pub(crate) global: Global,
    /// The publishers that are trusted, and the plugins that are installed.
    pub(crate) trust: copal_trust::Store,
    pub(crate) context: Context,
    ending: Arc<Ending>,
    /// How long a lock of another program is waited for.
    patience: Cell<Duration>,
    /// Whether something is stopped meanwhile, so that nothing is waited for.
    hurries: Cell<bool>,
    /// What was waited for before something was stopped.
    entered: Cell<Option<Entered>>,
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
        let ending = Arc::new(Ending::new(cancel, global.json));
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
            patience: Cell::default(),
            hurries: Cell::default(),
            entered: Cell::default(),
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

    /// What an interrupt ends from now on may hold locks, which must not outlive it.
    fn opened(&self, repository: Repository) -> Repository {
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
        self.patience.set(self.patience(job));
        let store = self.store(job)?;
        let password = Places::of_repository(&self.global, false).read(self.own_password(job))?;
        let handle = self.context.runtime.clone();
        Ok(self.opened(Repository::open(store, handle, &password)?))
    }

    fn patience(&self, job: Option<&Job>) -> Duration {
        let own = job.and_then(|job| job.repository.retry_lock);
        let own = own.map(|seconds| Duration::from_secs(seconds.into()));
        self.global.retry_lock.or(own).unwrap_or_default()
    }

    /// Locks a repository, as [`Repository::lock`] does. Where another program's lock is in the way, it tries again for as long as the operator said.
    pub(crate) fn lock(&self, repository: &Repository, mode: LockMode) -> Result<LockGuard, Error> {
        let patience = match self.hurries.get() {
            true => Duration::ZERO,
            false => self.patience.get(),
        };
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match repository.lock(mode) {
                Err(error @ Error::Locked { .. }) => error,
                done => return done,
            };
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(error);
            }
            if let (FIRST_PAUSE, Error::Locked { holder, .. }) = (pause, &error)
                && !self.global.quiet
                && !self.global.json
            {
                let seconds = patience.as_secs();
                let text =
                    format!("The repository is locked {holder}: waiting, {seconds} s at most");
                output::complain(&format!("{}\n", output::printable(&text)));
            }
            // Two that wait for each other must not do so in step.
            let share = RandomState::new().hash_one(begun) % 1_000;
            let until = Instant::now() + pause.mul_f64(1.0 + share as f64 / 1_000.0).min(left);
            while Instant::now() < until {
                if self.interrupted() {
                    return Err(Error::Interrupted);
                }
                std::thread::sleep(MOMENT);
            }
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// As [`Self::lock`], for work that adds to the repository or, if it `removes`, must be alone; a dry run only reads.
    pub(crate) fn lock_to_change(
        &self,
        repository: &Repository,
        dry_run: bool,
        removes: bool,
    ) -> Result<LockGuard, Error> {
        let mode = match (dry_run, removes) {
            (true, _) => LockMode::Read,
            (false, true) => LockMode::Exclusive,
            (false, false) => LockMode::Write,
        };
        self.lock(repository, mode)
    }

    /// Opens the repository of a job, where there is one, unless a job's hooks have had that done. Whoever is to wait for the locks of others does so now.
    pub(crate) fn enter(&self, job: Option<&Job>, mode: LockMode) -> Result<Entered, Failure> {
        if let Some(entered) = self.entered.take() {
            return Ok(entered);
        }
        let begun = Instant::now();
        let repository = self.repository_of(job)?;
        let opened = begun.elapsed();
        // What adds locks once it begins to, unless it waits.
        let lock = match (mode, self.patience.get().is_zero()) {
            (LockMode::Write, true) => None,
            _ => Some(self.lock(&repository, mode)?),
        };
        Ok(Entered {
            repository,
            lock,
            opened,
        })
    }

    /// Does the work of a job that stops something before and starts it afterwards. So the locks of others are waited for before.
    pub(crate) fn hurrying<T>(
        &self,
        job: &Job,
        mode: LockMode,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if !self.patience(Some(job)).is_zero() {
            let entered = self.enter(Some(job), mode)?;
            self.entered.set(Some(entered));
        }
        let before = self.hurries.replace(true);
        let done = work();
        self.hurries.set(before);
        done
    }

    /// Drops what was entered and is not used, when it is dropped itself.
    pub(crate) fn leaving(&self) -> Leaving<'_> {
        Leaving(self)
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
        Ok(self.opened(Repository::open(store, handle, &password)?))
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
