//! The rules that a release must keep before anything of it is loaded.

use semver::Version;

use super::Store;
use super::publishers::Publisher;
use crate::bundle::{Bundle, COMPONENT, STATEMENT};
use crate::candidate::{Candidate, Terms, asks};
use crate::capability::{self, Capability, Described, capability_hash, capability_lines};
use crate::name::PluginName;
use crate::policy::Offer;
use crate::refusal::Refusal;
use crate::release;
use crate::signed::{Signed, Signers};
use crate::statement::{self, Statement};
use crate::text::{sha256, shown};

/// What is said of a release, by whoever says it.
struct Said<'a> {
    name: &'a PluginName,
    version: &'a Version,
    imports: &'a [String],
    capabilities: &'a [Capability],
}

impl Store {
    /// Holds a release against all rules that need no look into the component: who signed it, whether the component is the one that was signed, and what
    /// was installed before. Nothing is changed.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn check(&self, bundle: &Bundle, terms: &Terms) -> Result<Candidate, Refusal> {
        Ok(self.check_all(bundle, terms)?.0)
    }

    /// Refuses a name that no unsigned plugin may have, before anything of one is run.
    ///
    /// # Errors
    /// It is one of those that come with Copal, or that of a publisher who is known.
    pub fn may_be_unsigned(&self, name: &PluginName) -> Result<(), Refusal> {
        if name.is_reserved() {
            return Err(Refusal::Reserved {
                name: name.to_string(),
            });
        }
        match self.publisher(name.publisher())? {
            Some(_) => Err(Refusal::UnsignedOfPublisher {
                plugin: name.clone(),
            }),
            None => Ok(()),
        }
    }

    /// As [`Self::check`], with the publisher's documents that are not stored yet.
    pub(super) fn check_all(
        &self,
        bundle: &Bundle,
        terms: &Terms,
    ) -> Result<(Candidate, Vec<Signed>), Refusal> {
        if let Some(described) = &terms.unsigned
            && bundle.files().all(|(name, _)| name == COMPONENT)
            && let Some(component) = bundle.get(COMPONENT)
        {
            return self.check_bare(bundle, component, described, terms);
        }
        let statement = release::parts(bundle)?;
        self.may_be(&statement.name, terms)?;
        let publisher = self.publisher(statement.name.publisher())?;
        let (publisher_version, news) = if bundle.signatures(STATEMENT).next().is_some() {
            let (publisher, news) = known(publisher, &statement, bundle)?;
            vouched(&publisher, &statement, bundle, terms)?;
            (Some(publisher.document.version), news)
        } else {
            if publisher.is_some() {
                return Err(Refusal::UnsignedOfPublisher {
                    plugin: statement.name,
                });
            }
            if terms.unsigned.is_none() {
                return Err(Refusal::Unsigned {
                    document: STATEMENT.to_owned(),
                });
            }
            release::component(bundle, &statement)?;
            release::not_from_the_future(STATEMENT, statement.created, terms.now)?;
            (None, Vec::new())
        };
        if terms.host.cmp_precedence(&statement.minimum_host).is_lt() {
            return Err(Refusal::HostTooOld {
                plugin: statement.name,
                minimum: statement.minimum_host,
                host: terms.host.clone(),
            });
        }
        let said = Said {
            name: &statement.name,
            version: &statement.version,
            imports: &statement.imports,
            capabilities: &statement.capabilities,
        };
        let digest = statement.sha256.clone();
        let mut candidate = self.candidate(&said, digest, publisher_version, bundle, terms)?;
        candidate.statement = Some(statement);
        Ok((candidate, news))
    }

    /// A component that comes alone: only the component itself says what it is.
    fn check_bare(
        &self,
        bundle: &Bundle,
        component: &[u8],
        described: &Described,
        terms: &Terms,
    ) -> Result<(Candidate, Vec<Signed>), Refusal> {
        let invalid = |problem: String| Refusal::Document {
            document: COMPONENT.to_owned(),
            problem,
        };
        release::header(component)?;
        let name: PluginName = described.name.parse()?;
        let version: Version = described.version.parse().map_err(|error| {
            invalid(format!(
                "its version `{}` is no semantic version: {error}",
                shown(&described.version)
            ))
        })?;
        statement::version("version", &version).map_err(invalid)?;
        capability::validate(&described.imports, &described.capabilities).map_err(invalid)?;
        self.may_be(&name, terms)?;
        self.may_be_unsigned(&name)?;
        let said = Said {
            name: &name,
            version: &version,
            imports: &described.imports,
            capabilities: &described.capabilities,
        };
        let candidate = self.candidate(&said, sha256(component), None, bundle, terms)?;
        Ok((candidate, Vec::new()))
    }

    /// Refuses another plugin than the one that was asked for, and a name that nobody may use.
    fn may_be(&self, name: &PluginName, terms: &Terms) -> Result<(), Refusal> {
        if name.is_reserved() {
            return Err(Refusal::Reserved {
                name: name.to_string(),
            });
        }
        match &terms.name {
            Some(expected) if expected != name => Err(Refusal::OtherPlugin {
                expected: expected.clone(),
                found: name.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Holds what is said against what was here before.
    fn candidate(
        &self,
        said: &Said<'_>,
        digest: String,
        publisher_version: Option<u32>,
        bundle: &Bundle,
        terms: &Terms,
    ) -> Result<Candidate, Refusal> {
        let ledger = self.ledger()?;
        let offer = Offer {
            name: said.name,
            version: said.version,
            digest: &digest,
            unsigned: publisher_version.is_none(),
        };
        let change = offer.judge(&ledger)?;
        let asks = asks(said.imports, said.capabilities, offer.approved(&ledger));
        let lines = capability_lines(said.imports, said.capabilities);
        Ok(Candidate {
            name: said.name.clone(),
            version: said.version.clone(),
            statement: None,
            unsigned: publisher_version.is_none(),
            publisher_version,
            change,
            asks,
            capability_hash: capability_hash(&lines),
            bundle: bundle.clone(),
            terms: terms.clone(),
            digest,
        })
    }
}

/// The publisher as it is known with what the release brings of it, and what of that is new.
fn known(
    publisher: Option<Publisher>,
    statement: &Statement,
    bundle: &Bundle,
) -> Result<(Publisher, Vec<Signed>), Refusal> {
    let newest = Signed::newest_of(bundle)?;
    if let Some(newest) = &newest {
        release::belongs(statement, newest)?;
    }
    let Some(publisher) = publisher else {
        return Err(Refusal::PublisherUnknown {
            publisher: statement.name.publisher().to_owned(),
            fingerprint: newest.map(|newest| newest.fingerprint()),
        });
    };
    let news = match newest {
        Some(newest) => publisher.news(newest, bundle)?,
        None => Vec::new(),
    };
    Ok((publisher.with(&news), news))
}

/// Refuses what the publisher does not vouch for.
fn vouched(
    publisher: &Publisher,
    statement: &Statement,
    bundle: &Bundle,
    terms: &Terms,
) -> Result<(), Refusal> {
    let retired = publisher.retired_keys();
    let signers = Signers {
        retired: &retired,
        ..Signers::of(&publisher.document)
    };
    release::signed(bundle, statement, &signers)?;
    release::in_time(statement, &publisher.document, terms.now)?;
    release::unrevoked(statement, &publisher.document)
}
