//! Understanding addresses.

use std::fmt;
use std::path::{Path, PathBuf};

use copal_trust::{PUBLISHER, STATEMENT};
use oci_client::Reference;
use url::Url;

use crate::Error;

/// Where releases lie, by kind of transport.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A path, absolute. What lies there is seen when it is opened.
    Local(PathBuf),
    /// A folder of an object store, as `copal-storage` opens it.
    Objects { folder: String, item: Item },
    /// A folder on a web server, ending in `/`, with what credentials the address holds.
    Web { folder: Url, item: Item },
    /// A registry's repository, and a tag or a digest in it.
    Registry(Reference),
}

/// What of a folder is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The files of a release.
    Release,
    /// The publisher's documents among them.
    Publisher,
    /// One archive in it, by its name, with the query that the server wants for it.
    Archive(String),
    /// One component in it, likewise.
    Component(String),
}

/// What a name says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A file beside which the release's others lie.
    Statement,
    /// The newest document of a publisher.
    Publisher,
    /// An archive.
    Archive,
    /// A component.
    Component,
    /// Anything else: a folder, where it may be one.
    Other,
}

impl Form {
    pub(crate) fn of(name: &str) -> Self {
        let ends = |extension: &str| {
            let (stem, found) = name.rsplit_once('.').unwrap_or_default();
            !stem.is_empty() && found.eq_ignore_ascii_case(extension)
        };
        match name {
            STATEMENT => Self::Statement,
            PUBLISHER => Self::Publisher,
            _ if ends("tar") => Self::Archive,
            _ if ends("wasm") => Self::Component,
            _ => Self::Other,
        }
    }
}

impl Place {
    /// Understands `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::Address {
            place: hide(text),
            reason: reason.to_owned(),
        };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
        else {
            return std::path::absolute(text)
                .map(Self::Local)
                .map_err(|error| invalid(&error.to_string()));
        };
        match (scheme, rest.strip_prefix("//")) {
            ("file", Some(_)) => Url::parse(text)
                .ok()
                .and_then(|url| url.to_file_path().ok())
                .map(Self::Local)
                .ok_or_else(|| invalid("it is no absolute path")),
            ("s3" | "gs" | "az" | "azure", Some(rest)) => objects(text, rest).map_err(invalid),
            // As `copal-storage` spells a service that is not Amazon's: `s3:https://HOST/BUCKET/FOLDER`.
            ("s3", None) => {
                let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
                match rest.split_once('/') {
                    Some((host, _)) if host.contains('@') => {
                        Err(invalid("credentials belong into the environment"))
                    }
                    Some((_, rest)) => objects(text, rest).map_err(invalid),
                    None => Err(invalid("it names no bucket")),
                }
            }
            ("http" | "https", Some(_)) => web(text).map_err(|reason| invalid(&reason)),
            ("oci", Some(rest)) => registry(rest).map_err(|reason| invalid(&reason)),
            _ => Err(invalid(&format!(
                "`{scheme}:` is no transport that Copal knows"
            ))),
        }
    }
}

impl fmt::Display for Place {
    /// For people, logs and the lock: without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Objects { folder, item } => {
                let file = item.file().map(|file| format!("/{file}"));
                write!(f, "{folder}{}", file.unwrap_or_default())
            }
            Self::Web { folder, item } => {
                let mut shown = bare(folder).to_string();
                let file = item.file().unwrap_or_default();
                shown.push_str(file.split('?').next().unwrap_or_default());
                f.write_str(&shown)
            }
            Self::Registry(reference) => {
                write!(
                    f,
                    "oci://{}/{}",
                    reference.registry(),
                    reference.repository()
                )?;
                if let Some(tag) = reference.tag() {
                    write!(f, ":{tag}")?;
                }
                match reference.digest() {
                    Some(digest) => write!(f, "@{digest}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Item {
    fn of(name: &str) -> Option<Self> {
        match Form::of(name) {
            Form::Statement => Some(Self::Release),
            Form::Publisher => Some(Self::Publisher),
            Form::Archive => Some(Self::Archive(name.to_owned())),
            Form::Component => Some(Self::Component(name.to_owned())),
            Form::Other => None,
        }
    }

    /// The one file that is meant, if it is one.
    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Release => None,
            Self::Publisher => Some(PUBLISHER),
            Self::Archive(name) | Self::Component(name) => Some(name),
        }
    }
}

/// `rest` is what follows the scheme and the host: a bucket, and a folder or a file in it.
fn objects(text: &str, rest: &str) -> Result<Place, &'static str> {
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err("it names no bucket");
    }
    if bucket.contains(['@', ':']) {
        return Err(
            "a bucket's name has neither `@` nor `:`, and credentials belong into the environment",
        );
    }
    let text = text.trim_end_matches('/');
    let name = path.trim_end_matches('/').rsplit('/').next();
    let (folder, item) = match (name.and_then(Item::of), text.rsplit_once('/')) {
        (Some(item), Some((folder, _))) => (folder.trim_end_matches('/'), item),
        _ => (text, Item::Release),
    };
    Ok(Place::Objects {
        folder: folder.to_owned(),
        item,
    })
}

fn web(text: &str) -> Result<Place, String> {
    let mut url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(
            "without TLS anybody in between sees what is fetched and can hold back what is new: give an `https:` address".to_owned(),
        );
    }
    if url.fragment().is_some() {
        return Err("it has a `#`".to_owned());
    }
    let query = url.query().map(|query| format!("?{query}"));
    let query = query.unwrap_or_default();
    url.set_query(None);
    let path = url.path().to_owned();
    let (folder, name) = path.rsplit_once('/').unwrap_or_default();
    let (folder, item) = match Item::of(name) {
        Some(Item::Archive(name)) => (folder, Item::Archive(name + &query)),
        Some(Item::Component(name)) => (folder, Item::Component(name + &query)),
        _ if !query.is_empty() => return Err("the address of a folder has no `?`".to_owned()),
        Some(item) => (folder, item),
        None => (path.trim_end_matches('/'), Item::Release),
    };
    url.set_path(&format!("{folder}/"));
    Ok(Place::Web { folder: url, item })
}

fn registry(rest: &str) -> Result<Place, String> {
    let (host, repository) = rest
        .split_once('/')
        .filter(|(host, repository)| !host.is_empty() && !repository.is_empty())
        .ok_or("it names no host and repository")?;
    if host.contains('@') {
        return Err(
            "credentials belong into COPAL_REGISTRY_USER and COPAL_REGISTRY_PASSWORD, beside COPAL_REGISTRY_HOST".into(),
        );
    }
    let url = Url::parse(&format!("https://{host}/")).map_err(|error| error.to_string())?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("its host is none".to_owned());
    }
    // A host before it, so that the repository's first part is never taken for one.
    let parsed: Reference = format!("registry.invalid/{repository}")
        .parse()
        .map_err(|error| format!("`{repository}`: {error}"))?;
    let (name, host) = (parsed.repository().to_owned(), host.to_ascii_lowercase());
    let digest = parsed.digest().map(str::to_ascii_lowercase);
    if digest
        .as_ref()
        .is_some_and(|digest| !digest.starts_with("sha256:"))
    {
        return Err("a digest must be `sha256:` and 64 hexadecimal digits".to_owned());
    }
    Ok(Place::Registry(match (parsed.tag(), digest) {
        (Some(tag), Some(digest)) => {
            Reference::with_tag_and_digest(host, name, tag.to_owned(), digest)
        }
        (None, Some(digest)) => Reference::with_digest(host, name, digest),
        (tag, None) => Reference::with_tag(host, name, tag.unwrap_or("latest").to_owned()),
    }))
}

/// Whether only this machine is reached by that name, so that nobody is in between.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The address without name, password and query.
pub(crate) fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    // Only an address without a host refuses, and that has no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The address of a file in a folder; its name may carry a query.
pub(crate) fn file_in(folder: &Url, name: &str) -> Url {
    let (name, query) = match name.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (name, None),
    };
    let mut url = folder.clone();
    url.set_path(&format!("{}{name}", folder.path()));
    url.set_query(query);
    url
}

/// Whether a name is that of an archive in which no release comes.
pub(crate) fn is_foreign_archive(name: &str) -> bool {
    const ENDINGS: [&str; 8] = ["tgz", "gz", "xz", "bz2", "zst", "txz", "zip", "7z"];
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}

/// The last part of a path, as text.
pub(crate) fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(std::ffi::OsStr::to_str)
        .unwrap_or_default()
}

/// Two letters at least, so that `C:\plugin` stays a path.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// `text` without what stands before an `@` and without a query; when in doubt, more is hidden.
fn hide(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return text.to_owned();
    };
    let rest = rest.split('?').next().unwrap_or_default();
    // A digest follows an `@`, too.
    match rest.rsplit_once('@') {
        Some((_, rest)) if !rest.starts_with("sha256:") => format!("{scheme}://{rest}"),
        Some((before, digest)) => match before.rsplit_once('@') {
            Some((_, before)) => format!("{scheme}://{before}@{digest}"),
            None => format!("{scheme}:{rest}"),
        },
        None => format!("{scheme}:{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_and_shown_so_that_they_can_be_read_again() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, shown, item) in [
            ("/nonexistent/a folder", "/nonexistent/a folder", None),
            (
                "file:///nonexistent/x%20y.tar",
                "/nonexistent/x y.tar",
                None,
            ),
            ("s3://bucket", "s3://bucket", Some(Item::Release)),
            ("s3://b/p/q/", "s3://b/p/q", Some(Item::Release)),
            (
                "s3://b/p/x.tar",
                "s3://b/p/x.tar",
                Some(Item::Archive("x.tar".into())),
            ),
            ("s3://x.tar", "s3://x.tar", Some(Item::Release)),
            (
                "s3:http://localhost:9000/b/x.wasm",
                "s3:http://localhost:9000/b/x.wasm",
                Some(Item::Component("x.wasm".into())),
            ),
            (
                "gs://b/publisher.json",
                "gs://b/publisher.json",
                Some(Item::Publisher),
            ),
            ("az://c/p/release.json", "az://c/p", Some(Item::Release)),
            ("https://h/acme", "https://h/acme/", Some(Item::Release)),
            ("https://h", "https://h/", Some(Item::Release)),
            (
                "http://127.0.0.1:8/a/release.json",
                "http://127.0.0.1:8/a/",
                Some(Item::Release),
            ),
            (
                "https://h/publisher.json",
                "https://h/publisher.json",
                Some(Item::Publisher),
            ),
            (
                "https://me:s3cret@h/a/x.TAR?s3cret",
                "https://h/a/x.TAR",
                Some(Item::Archive("x.TAR?s3cret".into())),
            ),
            (
                "oci://h/acme/notebook",
                "oci://h/acme/notebook:latest",
                None,
            ),
            (
                "oci://Localhost:5000/n:1.2.0",
                "oci://localhost:5000/n:1.2.0",
                None,
            ),
            (
                &format!("oci://h/n@{digest}"),
                &format!("oci://h/n@{digest}"),
                None,
            ),
            (
                &format!("oci://h/n:1@{digest}"),
                &format!("oci://h/n:1@{digest}"),
                None,
            ),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!(place.to_string(), shown, "{text}");
            assert_eq!(format!("{place:?}"), shown);
            let (Place::Objects { item: found, .. } | Place::Web { item: found, .. }) = &place
            else {
                assert_eq!(item, None, "{text}");
                assert_eq!(Place::parse(shown).unwrap(), place);
                continue;
            };
            assert_eq!(Some(found), item.as_ref(), "{text}");
            if !text.contains("s3cret") {
                assert_eq!(Place::parse(shown).unwrap(), place);
            }
        }
    }

    #[test]
    fn a_bare_host_of_a_registry_is_a_host_and_no_part_of_a_name() {
        let Place::Registry(reference) = Place::parse("oci://registry/acme/notebook:1").unwrap()
        else {
            panic!("no registry");
        };
        assert_eq!(reference.registry(), "registry");
        assert_eq!(reference.repository(), "acme/notebook");
    }

    #[test]
    fn what_leads_nowhere_is_refused_with_advice_and_without_credentials() {
        for text in [
            "",
            "memory:",
            "sftp:host:/path",
            "s3://",
            "s3:",
            "s3:https://h",
            "s3://key:s3cret@b/p",
            "s3://key:s3c/ret@b/p",
            "s3:http://key:s3cret@h/b",
            "gs:///p",
            "file:x",
            "file://host/x",
            "https://h/folder?s3cret",
            "http://h/folder",
            "http://me:s3cret@127.0.0.1.example/folder",
            "https://me:s3cret@h:port/x",
            "https://h/x.tar#s3cret@",
            "oci://",
            "oci://h",
            "oci:///n",
            "oci://me:s3cret@h/n",
            "oci://h/Upper",
            "oci://h/n:",
            "oci://h/n@sha256:12",
            "oci://h/../n",
            "oci://h/n?x",
            &format!("oci://h/n@sha512:{}", "0a".repeat(64)),
        ] {
            let error = Place::parse(text).unwrap_err();
            assert_eq!(error.kind(), "address", "{text}");
            assert!(error.advice().is_some());
            let error = error.to_string();
            assert!(!error.contains("s3c") && !error.contains("ret"), "{error}");
        }
    }
}
