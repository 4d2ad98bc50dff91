//! Fetching a release from a registry.

use copal_trust::{Bundle, COMPONENT};
use oci_client::Reference;

use super::artifact::component;
use super::referrers::{Files, is_same};
use super::session::{PULL, Session};
use crate::Error;
use crate::gather::Gathered;

/// Fetches the component that `reference` names, and what is stated about it.
pub(crate) async fn fetch(reference: &Reference, place: &str) -> Result<Bundle, Error> {
    let mut session = Session::new(reference, place, PULL)?;
    let named = reference.digest().or(reference.tag()).unwrap_or("latest");
    let Some((manifest, digest)) = session.manifest(named).await? else {
        return Err(Error::Missing {
            place: place.to_owned(),
        });
    };
    let layer = component(&manifest, &digest, place)?;
    let mut gathered = Gathered::new(place);
    let limit = gathered.limit(COMPONENT).unwrap_or_default();
    // The statements are small, so they are looked at first.
    let statements = session.statements(&digest).await?;
    let mut found: Option<Files> = None;
    for statement in &statements.digests {
        let files = session.statement(statement, &digest).await?;
        if found.as_ref().is_some_and(|found| !is_same(found, &files)) {
            return Err(Error::TwoStatements {
                place: place.to_owned(),
                digests: statements.digests,
            });
        }
        found = Some(files);
    }
    for (name, file) in found.unwrap_or_default() {
        let limit = gathered.limit(&name).unwrap_or_default();
        gathered.add(&name, session.blob(&file, &name, limit).await?)?;
    }
    gathered.add(COMPONENT, session.blob(&layer, COMPONENT, limit).await?)?;
    gathered.finish()
}
