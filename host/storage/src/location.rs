//! Understanding addresses.

use std::path::{Component, PathBuf};

use url::Url;

use crate::Error;
use crate::sftp::Place;

/// Where a repository is, by kind of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A directory, absolute.
    Local(PathBuf),
    /// This process's memory.
    Memory,
    /// A bucket of S3 and a prefix in it; the endpoint if the address names one.
    S3 {
        endpoint: Option<String>,
        bucket: String,
        prefix: String,
    },
    /// A bucket of Backblaze B2 and a prefix in it.
    B2 { bucket: String, prefix: String },
    /// A bucket of Google Cloud Storage and a prefix in it.
    Google { bucket: String, prefix: String },
    /// A container of Azure Blob Storage and a prefix in it.
    Azure { container: String, prefix: String },
    /// A directory on another host.
    Sftp(Place),
    /// A WebDAV folder, credentials included.
    WebDav(Url),
}

impl Location {
    /// Understands `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::Location {
            location: hide(text),
            reason: reason.to_owned(),
        };
        let url = |text: &str| Url::parse(text).map_err(|error| invalid(&error.to_string()));
        let bucket = |rest: &str| {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix = prefix.trim_matches('/').to_owned();
            match bucket {
                "" => Err(invalid("it names no bucket")),
                _ if bucket.contains(['@', ':']) => Err(invalid(
                    "a bucket's name has neither `@` nor `:`, and credentials belong into the environment",
                )),
                bucket => Ok((bucket.to_owned(), prefix)),
            }
        };
        let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
        else {
            return match text {
                "" => Err(invalid("it is empty")),
                path => local(path).ok_or_else(|| invalid("the current directory cannot be found")),
            };
        };
        match (scheme, rest.strip_prefix("//")) {
            ("file", _) => url(text)?
                .to_file_path()
                .map(Self::Local)
                .map_err(|()| invalid("it is no absolute path")),
            ("memory", _) if matches!(rest, "" | "//") => Ok(Self::Memory),
            ("s3", Some(rest)) => {
                let (bucket, prefix) = bucket(rest)?;
                Ok(Self::S3 {
                    endpoint: None,
                    bucket,
                    prefix,
                })
            }
            // As restic spells it: `s3:http://host/bucket/prefix` and `s3:host/bucket/prefix`.
            ("s3", None) => {
                let address = if rest.contains("://") {
                    rest.to_owned()
                } else {
                    format!("https://{rest}")
                };
                let address = url(&address)?;
                if !address.username().is_empty() || address.password().is_some() {
                    return Err(invalid(
                        "credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    ));
                }
                let endpoint = address.origin().ascii_serialization();
                let (bucket, prefix) = bucket(address.path().trim_start_matches('/'))?;
                Ok(Self::S3 {
                    endpoint: Some(endpoint),
                    bucket,
                    prefix,
                })
            }
            ("b2", Some(rest)) => bucket(rest).map(|(bucket, prefix)| Self::B2 { bucket, prefix }),
            ("gs", Some(rest)) => {
                bucket(rest).map(|(bucket, prefix)| Self::Google { bucket, prefix })
            }
            ("az" | "azure", Some(rest)) => {
                bucket(rest).map(|(container, prefix)| Self::Azure { container, prefix })
            }
            ("sftp", Some(_)) => Place::parse(&url(text)?).map(Self::Sftp).map_err(invalid),
            ("http" | "https", Some(_)) => match url(text)? {
                url if url.query().is_some() || url.fragment().is_some() => {
                    Err(invalid("a WebDAV address has neither `?` nor `#`"))
                }
                url => Ok(Self::WebDav(url)),
            },
            ("webdav" | "dav", _) => Err(invalid("WebDAV is written `http://`")),
            ("webdavs" | "davs", _) => Err(invalid("WebDAV is written `https://`")),
            ("sftp" | "ssh", _) => Err(invalid("SFTP is written `sftp://USER@HOST/PATH`")),
            _ => match [("b2", "b2://"), ("gs", "gs://"), ("az", "az://")]
                .into_iter()
                .find(|known| known.0 == scheme)
            {
                Some((_, written)) => Err(invalid(&format!("it begins with `{written}`"))),
                None => Err(invalid(&format!(
                    "`{scheme}:` is no service that Copal knows"
                ))),
            },
        }
    }
}

impl std::fmt::Display for Location {
    /// For people and logs: without credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let joined = |scheme: &str, bucket: &str, prefix: &str| match prefix {
            "" => format!("{scheme}{bucket}"),
            prefix => format!("{scheme}{bucket}/{prefix}"),
        };
        f.write_str(&match self {
            Self::Local(path) => path.display().to_string(),
            Self::Memory => "memory:".to_owned(),
            Self::S3 {
                endpoint: None,
                bucket,
                prefix,
            } => joined("s3://", bucket, prefix),
            Self::S3 {
                endpoint: Some(endpoint),
                bucket,
                prefix,
            } => joined(&format!("s3:{endpoint}/"), bucket, prefix),
            Self::B2 { bucket, prefix } => joined("b2://", bucket, prefix),
            Self::Google { bucket, prefix } => joined("gs://", bucket, prefix),
            Self::Azure { container, prefix } => joined("az://", container, prefix),
            Self::Sftp(place) => place.to_string(),
            Self::WebDav(url) => hide(url.as_str().trim_end_matches('/')),
        })
    }
}

/// Two letters at least, so that `C:\backup` stays a path.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn local(path: &str) -> Option<Location> {
    let absolute = std::path::absolute(path).ok()?;
    // Object names know neither links nor `..`, and what is not there has no links.
    let mut resolved = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            component => resolved.push(component),
        }
        if let Ok(found) = resolved.canonicalize() {
            resolved = found;
        }
    }
    Some(Location::Local(resolved))
}

/// `text` without what stands before an `@` in its authority.
fn hide(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    // A password may hold a raw `/`: when in doubt, more is hidden.
    match rest.rsplit_once('@') {
        Some((_, rest)) => format!("{scheme}://{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_up_whether_or_not_they_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a/b", top.join("link")).unwrap();
        for (path, found) in [
            ("a/../new", "new"),
            ("a/new/../other", "a/other"),
            ("link/../new", "a/new"),
            ("link/new", "a/b/new"),
            ("a/b/../..", ""),
        ] {
            let path = format!("{}/{path}", top.display());
            let found = Location::Local(top.join(found).components().collect());
            assert_eq!(Location::parse(&path).unwrap(), found, "{path}");
        }
        assert_eq!(
            Location::parse("/../..").unwrap(),
            Location::Local("/".into())
        );
    }

    #[test]
    fn addresses_are_understood() {
        let s3 = |endpoint: Option<&str>, bucket: &str, prefix: &str| Location::S3 {
            endpoint: endpoint.map(str::to_owned),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        for (text, location, shown) in [
            (
                "/nonexistent/a b%20c",
                Location::Local("/nonexistent/a b%20c".into()),
                "/nonexistent/a b%20c",
            ),
            (
                "file:///nonexistent/x%20y",
                Location::Local("/nonexistent/x y".into()),
                "/nonexistent/x y",
            ),
            ("memory:", Location::Memory, "memory:"),
            ("s3://b/p/q/", s3(None, "b", "p/q"), "s3://b/p/q"),
            (
                "s3:http://localhost:9000/b/p",
                s3(Some("http://localhost:9000"), "b", "p"),
                "s3:http://localhost:9000/b/p",
            ),
            (
                "s3:s3.example.org/b",
                s3(Some("https://s3.example.org"), "b", ""),
                "s3:https://s3.example.org/b",
            ),
            (
                "gs://b",
                Location::Google {
                    bucket: "b".into(),
                    prefix: String::new(),
                },
                "gs://b",
            ),
            (
                "az://c/p",
                Location::Azure {
                    container: "c".into(),
                    prefix: "p".into(),
                },
                "az://c/p",
            ),
            (
                "b2://b/p/",
                Location::B2 {
                    bucket: "b".into(),
                    prefix: "p".into(),
                },
                "b2://b/p",
            ),
        ] {
            let parsed = Location::parse(text).unwrap();
            assert_eq!(parsed, location, "{text}");
            assert_eq!(parsed.to_string(), shown);
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        let location = Location::parse("https://me:s3cr3t@dav.example.org/backup/").unwrap();
        assert_eq!(location.to_string(), "https://dav.example.org/backup");
        for text in [
            "https://me:s3c@r3t@host:port/",
            "gopher://me:s3cr3t@host/",
            "s3://key:s3cr3t@b/p",
            "s3:http://key:s3cr3t@h/b",
            "http://h:s3c/r3t@x?q",
            "sftp://me:s3cr3t@h/x",
            "webdavs://me:s3cr3t@h/x",
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(!error.contains("s3c") && !error.contains("r3t"), "{error}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused_with_advice() {
        for text in [
            "",
            "s3://",
            "s3:",
            "gs:///p",
            "sftp:host:/path",
            "webdav://h/p",
            "b2:b",
            "memory:x",
            "gs:x",
            "http://h/p?q",
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(
                error.contains("write a path, `s3://BUCKET/PREFIX`"),
                "{text}: {error}"
            );
        }
    }
}
