//! `copal plugin install`

use std::io::IsTerminal as _;
use std::process::ExitCode;

use copal_registry::Source;
use copal_trust::{
    Bundle, COMPONENT, Candidate, Change, Described, Installation, Introduction, PUBLISHER,
    PluginName, STATEMENT, Statement, Terms,
};
use jiff::Timestamp;
use semver::Version;
use serde::Serialize;

use super::describe::{asks, confirm_shape};
use super::export;
use crate::args::{Consent, InstallArgs};
use crate::commands::job;
use crate::failure::Failure;
use crate::plugins::described;
use crate::session::Session;
use crate::{Outcome, output};

/// What came of a release.
#[derive(Serialize)]
pub(super) struct Done {
    name: String,
    version: String,
    digest: String,
    /// The version that was installed before.
    before: Option<String>,
    /// Whether this very release was installed already.
    unchanged: bool,
    unsigned: bool,
    /// What it may still have done, because the release before might.
    carried: Vec<String>,
    /// What the release before was allowed and this one is not.
    dropped: Vec<String>,
}

pub(super) fn run(args: &InstallArgs, session: &Session) -> Outcome {
    let source = Source::parse(&args.source)?;
    let order = Order {
        name: None,
        from: source.to_string(),
        consent: &args.consent,
        allow_unsigned: args.allow_unsigned,
    };
    let done = order.fill(export::fetch(&args.source, session)?, session)?;
    match session.global.json {
        true => output::json(&done)?,
        false => output::print(&done.text())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A release that is to be installed, and under which conditions.
pub(super) struct Order<'a> {
    /// The plugin that it must be of.
    pub(super) name: Option<PluginName>,
    /// Where it comes from, without credentials.
    pub(super) from: String,
    pub(super) consent: &'a Consent,
    pub(super) allow_unsigned: bool,
}

impl Order<'_> {
    /// Installs the release, if all rules and the operator agree.
    pub(super) fn fill(&self, bundle: Bundle, session: &Session) -> Result<Done, Failure> {
        let signed = bundle.signatures(STATEMENT).next().is_some();
        self.meet_publisher(&bundle, signed, session)?;
        let engine = session.engine()?;
        let unsigned = match (bundle.get(COMPONENT), !signed && self.allow_unsigned) {
            (Some(component), true) => {
                // Only a component that comes without a statement is asked for its name before that is looked at.
                if let Some(statement) = bundle.get(STATEMENT) {
                    let name = Statement::parse(statement)?.name;
                    session.trust.may_be_unsigned(&name)?;
                }
                Some(described(&engine.load(component)?)?)
            }
            _ => None,
        };
        let terms = terms(self.name.clone(), unsigned)?;
        let candidate = session.trust.check(&bundle, &terms)?;
        if candidate.unsigned {
            tracing::warn!(
                "nobody vouches for {} {}: it is not signed, and could be anybody's",
                candidate.name,
                candidate.version
            );
        }
        let before = match &candidate.change {
            Change::Update { from } => Some(from.to_string()),
            Change::New | Change::Again => None,
        };
        let unchanged = candidate.change == Change::Again;
        let approved = self.approve(&candidate, session)?;
        let (unsigned, component) = (candidate.unsigned, candidate.bundle().get(COMPONENT));
        let component = component.map(|bytes| bytes.to_vec()).unwrap_or_default();
        let plugin = engine.load(&component)?;
        if let Some(statement) = &candidate.statement {
            confirm_shape(statement, &plugin)?;
        }
        let described = described(&plugin)?;
        let confirmed = candidate.confirm(&described)?;
        let Installation {
            name,
            version,
            digest,
            carried,
            dropped,
        } = session
            .trust
            .install(&confirmed, approved.as_deref(), &self.from)?;
        Ok(Done {
            name: name.to_string(),
            version: version.to_string(),
            digest,
            before,
            unchanged,
            unsigned,
            carried,
            dropped,
        })
    }

    /// Takes over what the release brings of its publisher. News of a known one count whatever becomes of the release: they may revoke it.
    fn meet_publisher(
        &self,
        bundle: &Bundle,
        signed: bool,
        session: &Session,
    ) -> Result<(), Failure> {
        if bundle.get(PUBLISHER).is_none() {
            return self.expect_known(bundle, session);
        }
        let introduction = session.trust.introduce(bundle, Timestamp::now())?;
        if introduction.known.is_none() {
            if !signed {
                return Ok(());
            }
            // Before anybody is asked to trust somebody: is the release whole, by what it brings itself?
            copal_trust::verify(bundle, Timestamp::now())?;
        }
        agree_to_publisher(&introduction, self.consent.fingerprint.as_deref(), session)?;
        if introduction.is_new() {
            session.trust.trust(&introduction)?;
        }
        Ok(())
    }

    /// Where a release brings no document, the fingerprint that was given must be that of the known one.
    fn expect_known(&self, bundle: &Bundle, session: &Session) -> Result<(), Failure> {
        let (Some(expected), Some(statement)) = (&self.consent.fingerprint, bundle.get(STATEMENT))
        else {
            return Ok(());
        };
        let name = Statement::parse(statement)?.name;
        match session.trust.publisher(name.publisher())? {
            Some(known) => expect(expected, name.publisher(), &[&known.fingerprint]),
            None => Ok(()),
        }
    }

    /// The capability hash that the operator approves; none where nothing new is asked for, and where there is nobody to ask.
    fn approve(&self, candidate: &Candidate, session: &Session) -> Result<Option<String>, Failure> {
        if self.consent.approve.is_some() {
            return Ok(self.consent.approve.clone());
        }
        if !candidate.needs_approval() {
            return Ok(None);
        }
        let can_ask = can_ask(session);
        // Nobody agrees to what he was not shown.
        if can_ask || !session.global.quiet && !session.global.json {
            output::complain(&format!(
                "{} {} may ask for\n{}capabilities {}\nWhat it does ask for is shown again with each plan, and needs a grant then.\n",
                candidate.name,
                candidate.version,
                asks(&candidate.asks),
                candidate.capability_hash
            ));
        }
        if !can_ask {
            return Ok(None);
        }
        match job::ask("Install it with these capabilities?")? {
            true => Ok(Some(candidate.capability_hash.clone())),
            false => Err(job::declined("the plugin was not installed")),
        }
    }
}

impl Done {
    /// For people.
    pub(super) fn text(&self) -> String {
        let Self {
            name,
            version,
            digest,
            ..
        } = self;
        let mut text = match (&self.before, self.unchanged) {
            (_, true) => format!("{name} {version} is installed already\n"),
            (Some(before), _) => {
                format!("{name} {version} is installed in the place of {before}\n")
            }
            (None, _) => format!("{name} {version} is installed\n"),
        };
        text += &format!("sha256 {digest}\n");
        let mut list = |title: &str, grants: &[String]| {
            if !grants.is_empty() {
                text += &format!("{title}\n");
                text.extend(
                    grants
                        .iter()
                        .map(|grant| format!("  {}\n", output::printable(grant))),
                );
            }
        };
        list("Still allowed", &self.carried);
        list(
            "No longer allowed, because it is another component or may ask for other things",
            &self.dropped,
        );
        text
    }
}

/// By which a release is judged here and now: which plugin it must be of, and what an unsigned one says of itself where that is enough.
pub(super) fn terms(
    name: Option<PluginName>,
    unsigned: Option<Described>,
) -> Result<Terms, Failure> {
    let host = env!("CARGO_PKG_VERSION").parse::<Version>();
    Ok(Terms {
        now: Timestamp::now(),
        host: host.map_err(|e| {
            Failure::usage("version", format!("Copal's own version can't be read: {e}"))
        })?,
        name,
        unsigned,
    })
}

/// Whether there is somebody to ask.
fn can_ask(session: &Session) -> bool {
    !session.global.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Holds a document against the fingerprint that the operator gave, and has him compare that of a publisher that is met for the first time.
pub(in crate::commands) fn agree_to_publisher(
    introduction: &Introduction,
    fingerprint: Option<&str>,
    session: &Session,
) -> Result<(), Failure> {
    let Introduction {
        publisher,
        document,
        fingerprint: found,
        ..
    } = introduction;
    if let Some(expected) = fingerprint {
        // An old release brings the document of its day, and the one that is known counts.
        let known = introduction.known_fingerprint.iter();
        let found: Vec<&String> = std::iter::once(found).chain(known).collect();
        return expect(expected, publisher, &found);
    }
    if introduction.known.is_some() {
        // A newer document is signed by the keys that are trusted already.
        return Ok(());
    }
    let advice = format!(
        "Compare it with what the publisher says elsewhere, then give --fingerprint {found}."
    );
    let message = format!(
        "the publisher {publisher} is not known here; its document has the fingerprint {found}"
    );
    let refused = Failure::usage("publisher-unknown", message).advise(advice);
    if !can_ask(session) {
        return Err(refused);
    }
    let keys: String = document
        .keys
        .iter()
        .map(|key| format!("  key {}\n", key.id()))
        .collect();
    output::complain(&format!(
        "The publisher {publisher} is not known here yet.\n  fingerprint {found}\n{keys}  {} of these keys must sign; valid until {}\n",
        document.threshold,
        output::time(document.not_after)
    ));
    match job::ask("Is this the fingerprint that the publisher says?")? {
        true => Ok(()),
        false => Err(job::declined("the publisher is not trusted")),
    }
}

/// Refuses a publisher of whom none of these fingerprints is the one expected.
fn expect(expected: &str, publisher: &str, found: &[&String]) -> Result<(), Failure> {
    if found
        .iter()
        .any(|found| expected.eq_ignore_ascii_case(found))
    {
        return Ok(());
    }
    let found = found.first().map_or("", |found| found.as_str());
    let message = format!(
        "the document of the publisher {publisher} has the fingerprint {found}, and {expected} was expected"
    );
    Err(Failure::usage("publisher-fingerprint", message)
        .advise("Ask the publisher which is right. Somebody else may use its name."))
}
