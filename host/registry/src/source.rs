//! Where a release comes from and where it goes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use copal_trust::Bundle;

use crate::place::{Form, Item, Place, file_name, is_foreign_archive};
use crate::{Error, archive, folder, objects, oci, web};

/// Where a release comes from.
///
/// Shown, it has no credentials and can be parsed again; so it goes into the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(Place);

impl Source {
    /// Whether it is on this machine, where it may be gone tomorrow.
    pub fn is_local(&self) -> bool {
        matches!(self.0, Place::Local(_))
    }

    /// Understands an address, see [the crate](crate).
    ///
    /// # Errors
    /// It leads nowhere.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Place::parse(text).map(Self)
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a release goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(Place);

impl Destination {
    /// Whether it is a folder of this machine.
    pub fn is_local_folder(&self) -> bool {
        matches!(&self.0, Place::Local(path) if Form::of(file_name(path)) != Form::Archive)
    }

    /// Understands an address, see [the crate](crate): a folder or a `.tar`, on this machine, in an object store or on a WebDAV server, or
    /// a tag in a registry.
    ///
    /// # Errors
    /// It leads nowhere, or to what can hold no release.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let place = Place::parse(text)?;
        let reason = match &place {
            Place::Local(path) => match Form::of(file_name(path)) {
                Form::Other if is_foreign_archive(file_name(path)) => Some(NO_FILE),
                Form::Archive | Form::Other => None,
                Form::Component | Form::Statement | Form::Publisher => Some(NO_FILE),
            },
            Place::Objects { item, .. } | Place::Web { item, .. } => match item {
                Item::Release if is_foreign_archive(place.to_string().trim_end_matches('/')) => {
                    Some(NO_FILE)
                }
                Item::Release => None,
                Item::Archive(name) if !name.contains('?') => None,
                Item::Archive(_) | Item::Component(_) | Item::Publisher => Some(NO_FILE),
            },
            Place::Registry(reference) => reference
                .digest()
                .map(|_| "what is published needs a tag, and its digest follows from it"),
        };
        match reason {
            Some(reason) => Err(Error::Address {
                place: place.to_string(),
                reason: reason.to_owned(),
            }),
            None => Ok(Self(place)),
        }
    }
}

/// For all files of a release: the largest component at 100 kB/s, and more.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

const NO_FILE: &str = "a release goes into a folder or a plain `.tar`";

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a release was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The place, without credentials.
    pub place: String,
    /// In a registry: the digest of the component's manifest, which pins it.
    pub digest: Option<String>,
}

/// Fetches the release at `source`. Nothing of it is believed: it may lack a component, a statement or signatures.
///
/// # Errors
/// Nothing is there, it can't be read, or it is nothing that a release may come in.
pub async fn fetch(source: &Source) -> Result<Bundle, Error> {
    let place = source.to_string();
    // Each request is bounded by itself; without this, many of them could take weeks.
    match tokio::time::timeout(PATIENCE, fetch_from(source, &place)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(Error::Slow {
            place,
            minutes: PATIENCE.as_secs() / 60,
        }),
    }
}

async fn fetch_from(source: &Source, place: &str) -> Result<Bundle, Error> {
    match &source.0 {
        Place::Local(path) => fetch_local(path, place),
        Place::Objects { folder, item } => {
            let store = copal_storage::open(folder)?;
            objects::fetch(&store, place, item).await
        }
        Place::Web { folder, item } => web::fetch(folder, place, item).await,
        Place::Registry(reference) => oci::fetch(reference, place).await,
    }
}

/// Publishes a release at `destination`; what is there already may be the same release, or another one if it is to `replace` that.
///
/// # Errors
/// Another release is there, or nothing can be written there.
pub async fn publish(
    bundle: &Bundle,
    destination: &Destination,
    replace: bool,
) -> Result<Published, Error> {
    let place = destination.to_string();
    crate::gather::without_gap(bundle)?;
    let digest = match &destination.0 {
        Place::Local(path) if Form::of(file_name(path)) == Form::Archive => {
            archive::save_at(bundle, path, &place, replace)?;
            None
        }
        Place::Local(path) => {
            folder::write(bundle, path, &place, replace)?;
            None
        }
        Place::Objects { folder, item } => {
            let store = copal_storage::open(folder)?;
            objects::publish(bundle, &store, &place, item, replace).await?;
            None
        }
        Place::Web { folder, item } => {
            let store = copal_storage::open(folder.as_str())?;
            objects::publish(bundle, &store, &place, item, replace).await?;
            None
        }
        Place::Registry(reference) => Some(oci::publish(bundle, reference, &place, replace).await?),
    };
    Ok(Published { place, digest })
}

/// Reads what lies at a path of this machine: it tells itself whether it is a folder.
fn fetch_local(path: &std::path::Path, place: &str) -> Result<Bundle, Error> {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Missing {
                place: place.to_owned(),
            });
        }
        Err(source) => {
            return Err(Error::Io {
                place: place.to_owned(),
                action: "read",
                file: "it".to_owned(),
                source,
            });
        }
    };
    if metadata.is_dir() {
        return folder::read(path, place, &Item::Release);
    }
    let beside = path.parent().unwrap_or(path);
    match Form::of(file_name(path)) {
        Form::Statement => folder::read(beside, place, &Item::Release),
        Form::Publisher => folder::read(beside, place, &Item::Publisher),
        Form::Archive => archive::load(path, place),
        Form::Component => folder::component(path, place),
        Form::Other => Err(Error::Address {
            place: place.to_owned(),
            reason: "it is neither a folder nor a `.tar` nor a `.wasm`".to_owned(),
        }),
    }
}
