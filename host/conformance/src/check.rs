//! What a component is, and whether what it says of itself holds together.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use copal_sandbox::types::Description;
use copal_sandbox::{Engine, Plugin};
use serde::Serialize;

use crate::report::{Collector, Report, Rule};
use crate::schema;

/// The package of the contract.
const CONTRACT: &str = "copal:plugin";

/// The interfaces that a plugin exports.
const EXPORTS: [&str; 2] = ["app", "transform"];

/// How long a plugin may take to start and describe itself: each call and each pass starts an instance.
const MAX_START: Duration = Duration::from_secs(5);

/// Bytes of text for people that a summary or reason may have.
const MAX_SENTENCE: usize = 500;

static LOADS: Rule = Rule {
    name: "component.loads",
    demand: "A plugin is a component of the world `copal:plugin/plugin` of at most 128 MiB. Besides the contract's own interfaces it may import WASI 0.2's cli, clocks, filesystem, io, random and sockets.",
};
static STARTS: Rule = Rule {
    name: "component.starts",
    demand: "An instance starts and answers `describe` within 5 s and within the limit of its memory: each call and each pass starts one.",
};
static DESCRIBES: Rule = Rule {
    name: "describe.answers",
    demand: "`describe` needs no tree and no grant, and keeps the limits of the contract.",
};
static STABLE: Rule = Rule {
    name: "describe.stable",
    demand: "`describe` is always the same answer.",
};
static VERSION: Rule = Rule {
    name: "describe.version",
    demand: "The version is a semantic version.",
};
static TEXTS: Rule = Rule {
    name: "describe.texts",
    demand: "The summary, each root's description and each capability's reason is a sentence for the operator, on one line.",
};
static ROOTS: Rule = Rule {
    name: "describe.roots",
    demand: "A root conflicts with other roots of the description. There is a root, or roots of any name may be given. No root is called `streams`, which is the snapshot's own.",
};
static CAPABILITIES: Rule = Rule {
    name: "describe.capabilities",
    demand: "Each capability is a grant's pattern, and stands there once.",
};
static INTENTS: Rule = Rule {
    name: "describe.intents",
    demand: "Each intent stands there once; the first is the default.",
};
static SCHEMA: Rule = Rule {
    name: "describe.config-schema",
    demand: "`config-schema` is a JSON Schema (draft 2020-12) of an object, and refuses keys that it does not name.",
};

/// The world that whatever can be loaded implements.
pub const WORLD: &str = "copal:plugin/plugin";

/// What a component is.
#[derive(Serialize)]
pub struct Inspection {
    /// The SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Its bytes.
    pub size: usize,
    /// The contract that it is made for, such as `copal:plugin@0.1.0`; none where it can't be loaded.
    pub contract: Option<String>,
    /// The world that it implements.
    pub world: Option<&'static str>,
    /// What it imports, as it spells it.
    pub imports: Vec<String>,
    /// How long loading took, compiling included where the engine's cache had it not.
    pub load: Duration,
    /// How long it took to start an instance and to have `describe` answered.
    pub describe: Option<Duration>,
    /// Bytes of memory that the instance then had.
    pub memory: Option<usize>,
    /// Bytes of memory that an instance may have.
    pub memory_limit: usize,
    /// What it says that it is.
    pub description: Option<Description>,
    /// Whether that holds together.
    pub report: Report,
    /// Why it can't be used at all.
    #[serde(skip)]
    pub error: Option<copal_sandbox::Error>,
    /// The plugin, where it can be loaded.
    #[serde(skip)]
    pub plugin: Option<Plugin>,
}

/// Looks at a component, and asks it twice what it is.
pub fn check(engine: &Engine, bytes: &[u8]) -> Inspection {
    let mut checks = Collector::new(&[
        &LOADS,
        &STARTS,
        &DESCRIBES,
        &STABLE,
        &VERSION,
        &TEXTS,
        &ROOTS,
        &CAPABILITIES,
        &INTENTS,
        &SCHEMA,
    ]);
    let began = Instant::now();
    let loaded = engine.load(bytes);
    let mut inspection = Inspection {
        digest: copal_sandbox::digest(bytes),
        size: bytes.len(),
        contract: None,
        world: None,
        imports: Vec::new(),
        load: began.elapsed(),
        describe: None,
        memory: None,
        memory_limit: engine.options().memory_limit,
        description: None,
        report: Report::default(),
        error: None,
        plugin: None,
    };
    match loaded {
        Ok(plugin) => {
            checks.held(&LOADS);
            inspection.contract = contract(&plugin);
            inspection.world = Some(WORLD);
            inspection.imports = plugin.imports().to_vec();
            ask(&plugin, &mut inspection, &mut checks);
            inspection.plugin = Some(plugin);
        }
        Err(error) => {
            checks.broken(&LOADS, error.to_string());
            inspection.error = Some(error);
        }
    }
    inspection.report = checks.report();
    inspection
}

fn ask(plugin: &Plugin, inspection: &mut Inspection, checks: &mut Collector) {
    let (first, second) = match (plugin.describe_anew(), plugin.describe_anew()) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(error), _) | (_, Err(error)) => {
            checks.broken(&DESCRIBES, error.to_string());
            inspection.error = Some(error);
            return;
        }
    };
    checks.held(&DESCRIBES);
    let time = first.time.min(second.time);
    checks.rule(&STARTS, time <= MAX_START, || {
        format!("it took {:.1} s", time.as_secs_f32())
    });
    checks.rule(&STABLE, first.description == second.description, || {
        "two instances describe themselves differently".to_owned()
    });
    description(&first.description, checks);
    inspection.describe = Some(time);
    inspection.memory = Some(first.memory);
    inspection.description = Some(first.description);
}

fn description(description: &Description, checks: &mut Collector) {
    let version = &description.version;
    match semver::Version::parse(version) {
        Ok(_) => checks.held(&VERSION),
        Err(error) => checks.broken(&VERSION, format!("`{version}`: {error}")),
    }
    let summary = std::iter::once(("the summary".to_owned(), &description.summary));
    let roots = description.roots.iter();
    let roots = roots.map(|root| (format!("the root `{}`", root.name), &root.description));
    let capabilities = description.capabilities.iter();
    let reasons =
        capabilities.map(|asked| (format!("the capability `{}`", asked.grant), &asked.reason));
    for (what, text) in summary.chain(roots).chain(reasons) {
        let fits = !text.trim().is_empty() && text.len() <= MAX_SENTENCE && !text.contains('\n');
        checks.rule(&TEXTS, fits, || {
            format!("{what}: {} bytes of text", text.len())
        });
    }
    self::roots(description, checks);
    checks.held(&CAPABILITIES);
    // Each is a grant's pattern, in its one spelling: the sandbox takes no other answer.
    let mut grants = HashSet::new();
    for capability in &description.capabilities {
        checks.rule(&CAPABILITIES, grants.insert(&capability.grant), || {
            format!("`{}` stands there twice", capability.grant)
        });
    }
    let intents = &description.intents;
    let once = intents.iter().enumerate();
    let once = once
        .into_iter()
        .all(|(place, intent)| intents.iter().position(|other| other == intent) == Some(place));
    checks.rule(&INTENTS, once, || "an intent stands there twice".to_owned());
    let problems = schema::problems(&description.config_schema);
    for problem in &problems {
        checks.broken(&SCHEMA, problem);
    }
    if problems.is_empty() {
        checks.rule(
            &SCHEMA,
            schema::is_closed(&description.config_schema),
            || {
                "it takes keys that it does not name: set `additionalProperties` to `false`"
                    .to_owned()
            },
        );
    }
}

fn roots(description: &Description, checks: &mut Collector) {
    let roots = &description.roots;
    checks.rule(&ROOTS, !roots.is_empty() || description.any_roots, || {
        "there is no root".to_owned()
    });
    for root in roots {
        checks.rule(&ROOTS, root.name != crate::saved::STREAMS, || {
            "a root is called `streams`".to_owned()
        });
        for other in &root.conflicts {
            let there = *other != root.name && roots.iter().any(|root| root.name == *other);
            checks.rule(&ROOTS, there, || {
                format!(
                    "`{}` conflicts with `{other}`, which is no other root",
                    root.name
                )
            });
        }
    }
}

/// The contract of the interfaces that the component exports, such as `copal:plugin@0.1.0`.
pub fn contract(plugin: &Plugin) -> Option<String> {
    plugin.exports().iter().find_map(|export| {
        let (interface, version) = export.split_once('@')?;
        let (package, name) = interface.split_once('/')?;
        let ours = package == CONTRACT && EXPORTS.contains(&name);
        ours.then(|| format!("{CONTRACT}@{version}"))
    })
}
