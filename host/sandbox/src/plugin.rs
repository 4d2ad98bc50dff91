//! A loaded plugin and the calls of `copal:plugin/app`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::{self, PluginPre};
use crate::ceiling::{self, Ceiling, Declared};
use crate::host::process::Probing;
use crate::host::{tree::Handle, wasi};
use crate::instance::{Instance, hand_over};
use crate::pass::Pass;
use crate::state::State;
use crate::text::clean;
use crate::tree::{Probe, Tree};
use crate::types::{
    BackupPlan, BackupRequest, Description, Detection, Direction, Failure, Finding, RestorePlan,
    RestoreRequest, VerifyRequest,
};
use crate::{Engine, Error, extent, needs, validate};

/// Bytes of a component. The largest that was seen, made from Python, has 18 MiB.
pub const MAX_COMPONENT: usize = 128 << 20;

/// The packages of WASI 0.2 that are linked, with nothing granted.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// The contract that this host gives.
const CONTRACT: &str = "copal:plugin";

/// A loaded plugin; cheap to clone. Each call and each pass runs in a store of its own, so calls may run at the same time.
///
/// Calls must come from plain threads or from `spawn_blocking`, not from async code.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    engine: Engine,
    bytes: Box<[u8]>,
    digest: String,
    imports: Vec<String>,
    exports: Vec<String>,
    prepared: PluginPre<State>,
    /// Bytes that each instance takes of the host beside its memories.
    overhead: usize,
    description: OnceLock<(Description, Declared)>,
}

/// What a plugin answered to `describe`, and what asking took.
#[derive(Clone, Debug)]
pub struct Described {
    /// The answer.
    pub description: Description,
    /// Bytes of memory that the instance had at the end, with what the host takes for its globals and functions.
    pub memory: usize,
    /// How long it took to instantiate the component and to get the answer.
    pub time: Duration,
}

impl Plugin {
    pub(crate) fn load(engine: Engine, bytes: &[u8]) -> Result<Self, Error> {
        check_preamble(bytes)?;
        let component = Component::from_binary(engine.wasmtime(), bytes)
            .map_err(|error| Error::Invalid(format!("{error:#}")))?;
        let overhead =
            extent::overhead(bytes).map_err(|error| Error::Invalid(error.to_string()))?;
        let overhead = usize::try_from(overhead).unwrap_or(usize::MAX);
        let kind = component.component_type();
        let imports = kind.imports(engine.wasmtime());
        let imports: Vec<String> = imports.map(|(name, _)| name.to_owned()).collect();
        let exports = kind.exports(engine.wasmtime());
        let exports = exports.map(|(name, _)| name.to_owned()).collect();
        imports.iter().try_for_each(|import| check_import(import))?;
        let incompatible = |error: wasmtime::Error| Error::Incompatible(format!("{error:#}"));
        let prepared = linker(&engine, &imports)
            .and_then(|linker| linker.instantiate_pre(&component))
            .and_then(PluginPre::new)
            .map_err(incompatible)?;
        Ok(Self(Arc::new(Loaded {
            engine,
            bytes: bytes.into(),
            digest: digest(bytes),
            imports,
            exports,
            prepared,
            overhead,
            description: OnceLock::new(),
        })))
    }

    /// The SHA-256 of the component's bytes, in hex.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// The component's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// What the component imports, as it spells it. A plugin can have nothing done that it does not import.
    pub fn imports(&self) -> &[String] {
        &self.0.imports
    }

    /// What the component exports, as it spells it.
    pub fn exports(&self) -> &[String] {
        &self.0.exports
    }

    /// What the plugin is; asked once.
    pub fn describe(&self) -> Result<&Description, Error> {
        if let Some((description, _)) = self.0.description.get() {
            return Ok(description);
        }
        let description = self.describe_anew()?.description;
        let declared = ceiling::declared(&description);
        let (description, _) = self.0.description.get_or_init(|| (description, declared));
        Ok(description)
    }

    /// What the plugin says that it is now, asked in an instance of its own; a plugin that keeps the contract always says the same.
    pub fn describe_anew(&self) -> Result<Described, Error> {
        const CALL: &str = "describe";
        let began = Instant::now();
        let mut instance = Instance::new(self, None, CALL)?;
        let description = instance
            .call(CALL, |plugin, store| {
                plugin.copal_plugin_app().call_describe(store)
            })?
            .into();
        let time = began.elapsed();
        let description = validate::description(description)
            .map_err(|rule| Error::Contract { call: CALL, rule })?;
        Ok(Described {
            description,
            memory: instance.memory(),
            time,
        })
    }

    /// What the plugin may ask for under this configuration, a JSON object.
    pub fn ceiling(&self, config: &str) -> Result<Ceiling, Error> {
        let name = &self.describe()?.name;
        let declared = self.0.description.get().map(|(_, declared)| declared);
        Ok(Ceiling::new(
            name,
            declared.cloned().unwrap_or_default(),
            config,
        ))
    }

    /// Whether the tree holds the plugin's application.
    pub fn detect(
        &self,
        root: Arc<dyn Tree>,
        probe: Arc<dyn Probe>,
    ) -> Result<Option<Detection>, Error> {
        let probing = self.probing(probe, "{}")?;
        self.call("detect", probing, validate::detection, |plugin, store| {
            let root = store.data_mut().handles.push(Handle(root))?;
            let answer = plugin.copal_plugin_app().call_detect(store, root)?;
            Ok(answer.map(|detection| detection.map(Detection::from)))
        })
    }

    /// How to back these roots up. The plan is valid, asks for nothing but what the plugin declares, and its sources stand in an order that
    /// their `after` allows.
    pub fn plan_backup(
        &self,
        roots: Vec<Arc<dyn Tree>>,
        probe: Arc<dyn Probe>,
        request: BackupRequest,
    ) -> Result<BackupPlan, Error> {
        let names = names(&roots);
        let check = |plan| validate::backup_plan(plan, &names);
        let probing = self.probing(probe, &request.config)?;
        let ceiling = probing.ceiling.clone();
        let plan = self.call("plan-backup", probing, check, |plugin, store| {
            let roots = hand_over(store, roots)?;
            plugin
                .copal_plugin_app()
                .call_plan_backup(store, &roots, &request.into())
        })?;
        ceiling.check(&needs::of_backup(&plan))?;
        Ok(plan)
    }

    /// How to restore. The plan is valid, asks for nothing but what the plugin declares, and its placements stand in an order that their
    /// `after` allows.
    pub fn plan_restore(
        &self,
        targets: Vec<Arc<dyn Tree>>,
        snapshot: Vec<Arc<dyn Tree>>,
        probe: Arc<dyn Probe>,
        request: RestoreRequest,
    ) -> Result<RestorePlan, Error> {
        let names = names(&targets);
        let streams = request.streams.iter().cloned().collect();
        let check = |plan| validate::restore_plan(plan, &names, &streams);
        let probing = self.probing(probe, &request.config)?;
        let ceiling = probing.ceiling.clone();
        let plan = self.call("plan-restore", probing, check, |plugin, store| {
            let targets = hand_over(store, targets)?;
            let snapshot = hand_over(store, snapshot)?;
            plugin
                .copal_plugin_app()
                .call_plan_restore(store, &targets, &snapshot, &request.into())
        })?;
        // Which of the roots are filled, and so free to be written to, the job knows; it asks the ceiling for the others.
        ceiling.check(&needs::of_restore(&plan, &|_| true))?;
        ceiling.check(&needs::of_safeguards(&plan.safeguards))?;
        Ok(plan)
    }

    /// Whether what now lies in the targets is whole, agrees with itself and with the snapshot.
    pub fn verify(
        &self,
        targets: Vec<Arc<dyn Tree>>,
        snapshot: Vec<Arc<dyn Tree>>,
        probe: Arc<dyn Probe>,
        request: VerifyRequest,
    ) -> Result<Vec<Finding>, Error> {
        let probing = self.probing(probe, &request.config)?;
        self.call("verify", probing, validate::findings, |plugin, store| {
            let targets = hand_over(store, targets)?;
            let snapshot = hand_over(store, snapshot)?;
            plugin
                .copal_plugin_app()
                .call_verify(store, &targets, &snapshot, &request.into())
        })
    }

    /// Starts a pass from the state of a plan, in a store of its own.
    pub fn start_pass(&self, direction: Direction, state: &[u8]) -> Result<Pass, Error> {
        Pass::start(self, direction, state)
    }

    /// Calls a function that may fail, in a store of its own, and checks its answer.
    fn call<T>(
        &self,
        call: &'static str,
        probing: Probing,
        check: impl FnOnce(T) -> Result<T, String>,
        function: impl FnOnce(
            &bindings::Plugin,
            &mut Store<State>,
        ) -> wasmtime::Result<Result<T, Failure>>,
    ) -> Result<T, Error> {
        let answer = Instance::new(self, Some(probing), call)?
            .call(call, function)?
            .map_err(validate::failure)?;
        check(answer).map_err(|rule| Error::Contract { call, rule })
    }

    fn probing(&self, probe: Arc<dyn Probe>, config: &str) -> Result<Probing, Error> {
        let ceiling = self.ceiling(config)?;
        Ok(Probing { probe, ceiling })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn overhead(&self) -> usize {
        self.0.overhead
    }

    pub(crate) fn prepared(&self) -> &PluginPre<State> {
        &self.0.prepared
    }

    /// What the plugin is called in the log: its name, or the beginning of its digest while the name is not known.
    pub(crate) fn label(&self) -> Arc<str> {
        match self.0.description.get() {
            Some((description, _)) => description.name.as_str().into(),
            None => self.0.digest.get(..12).unwrap_or_default().into(),
        }
    }
}

fn names(trees: &[Arc<dyn Tree>]) -> HashSet<String> {
    trees.iter().map(|tree| tree.name().to_owned()).collect()
}

/// Refuses what is not a component, in words that say what it is instead.
fn check_preamble(bytes: &[u8]) -> Result<(), Error> {
    let invalid = |what: &str| Err(Error::Invalid(what.to_owned()));
    match bytes {
        _ if bytes.len() > MAX_COMPONENT => {
            invalid("it is larger than 128 MiB, the most that a plugin may have")
        }
        // The component model's layer 1; only the compiler knows which versions of it can be read.
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            invalid("it is a core WebAssembly module, not a component")
        }
        _ => invalid("it is not WebAssembly"),
    }
}

/// Refuses an import that no plugin is given, before anything of the component runs.
fn check_import(import: &str) -> Result<(), Error> {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    let package = interface.split('/').next().unwrap_or_default();
    if package == CONTRACT {
        if version.starts_with("0.1.") {
            return Ok(());
        }
        return Err(Error::Incompatible(format!(
            "it needs `{import}`, and this Copal gives {CONTRACT} 0.1"
        )));
    }
    let wasi = package
        .strip_prefix("wasi:")
        .is_some_and(|name| WASI.contains(&name));
    if wasi && version.starts_with("0.2.") {
        return Ok(());
    }
    Err(Error::Denied {
        import: clean(import, 200),
    })
}

/// A linker with the contract, and with WASI for those that import it.
fn linker(engine: &Engine, imports: &[String]) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine.wasmtime());
    bindings::Plugin::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    if imports.iter().any(|import| import.starts_with("wasi:")) {
        wasi::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}

/// The SHA-256 of a component, in lower-case hexadecimal digits: what [`Plugin::digest`] gives.
pub fn digest(component: &[u8]) -> String {
    let digest = Sha256::digest(component);
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String never fails.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
