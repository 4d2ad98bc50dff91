//! The services behind the addresses, with the settings that they read.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, HeaderMap, HeaderValue, ObjectStore};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::Error;
use crate::b2::{self, B2};
use crate::diagnosis::credentials;
use crate::limit::Limit;
use crate::location::Location;
use crate::options::Options;
use crate::private::Private;
use crate::retry::RETRY;
use crate::sftp::Sftp;
use crate::transport::{self, Transport};
use crate::watched::Watched;
use crate::webdav::WebDav;

/// Opens the place.
pub(crate) fn open(location: Location, options: &Options) -> Result<Arc<dyn ObjectStore>, Error> {
    let upload = options
        .limit_upload
        .map(|limit| Arc::new(Limit::new(limit)));
    let download = options
        .limit_download
        .map(|limit| Arc::new(Limit::new(limit)));
    // Whoever sends bytes piece by piece keeps the limit by itself.
    let whole = matches!(location, Location::Local(_) | Location::Memory);
    let opening = Opening {
        shown: location.to_string(),
        options,
        transport: Transport {
            upload: upload.clone(),
            timeout: options.timeout,
            headers: HeaderMap::new(),
        },
    };
    Ok(Arc::new(Watched {
        store: opening.service(location)?,
        upload: upload.filter(|_| whole),
        download,
    }))
}

struct Opening<'a> {
    shown: String,
    options: &'a Options,
    transport: Transport,
}

impl Opening<'_> {
    fn service(self, location: Location) -> Result<Arc<dyn ObjectStore>, Error> {
        Ok(match location {
            Location::Local(path) => {
                let prefix = Path::from_absolute_path(&path).map_err(|error| Error::Location {
                    location: self.shown.clone(),
                    reason: error.to_string(),
                })?;
                Arc::new(PrefixStore::new(Private::new(), prefix))
            }
            Location::Memory => Arc::new(InMemory::new()),
            Location::S3 {
                endpoint,
                bucket,
                prefix,
            } => {
                let mut builder = AmazonS3Builder::from_env();
                for (key, value) in self.keys::<AmazonS3ConfigKey>() {
                    builder = builder.with_config(key, value);
                }
                builder = builder.with_bucket_name(bucket).with_retry(RETRY);
                if let Some(endpoint) = endpoint {
                    builder = builder
                        .with_allow_http(endpoint.starts_with("http:"))
                        .with_endpoint(endpoint);
                }
                let built = builder.with_http_connector(self.transport.clone()).build();
                prefixed(built.map_err(|error| self.settings(&error))?, &prefix)
            }
            Location::B2 { bucket, prefix } => {
                let account = b2::Account {
                    key_id: self.needed("B2_APPLICATION_KEY_ID")?,
                    key: self.needed("B2_APPLICATION_KEY")?,
                    realm: self
                        .variable("B2_ENVIRONMENT")
                        .unwrap_or_else(|| b2::REALM.to_owned()),
                };
                prefixed(B2::new(bucket, account, self.transport), &prefix)
            }
            Location::Google { bucket, prefix } => {
                let mut builder = GoogleCloudStorageBuilder::from_env();
                for (key, value) in self.keys::<GoogleConfigKey>() {
                    builder = builder.with_config(key, value);
                }
                builder = builder.with_bucket_name(bucket).with_retry(RETRY);
                let built = builder.with_http_connector(self.transport.clone()).build();
                prefixed(built.map_err(|error| self.settings(&error))?, &prefix)
            }
            Location::Azure { container, prefix } => {
                let mut builder = MicrosoftAzureBuilder::from_env();
                for (key, value) in self.keys::<AzureConfigKey>() {
                    builder = builder.with_config(key, value);
                }
                builder = builder.with_container_name(container).with_retry(RETRY);
                let built = builder.with_http_connector(self.transport.clone()).build();
                prefixed(built.map_err(|error| self.settings(&error))?, &prefix)
            }
            Location::WebDav(url) => {
                let (mut url, authorization) = basic_authorization(url);
                // Above the store, so that it is made where it is missing.
                let prefix = Path::from_url_path(url.path()).map_err(|error| Error::Location {
                    location: self.shown.clone(),
                    reason: error.to_string(),
                })?;
                url.set_path("");
                let mut transport = self.transport.clone();
                if let Some(authorization) = authorization {
                    transport
                        .headers
                        .insert(http::header::AUTHORIZATION, authorization);
                }
                let client = ClientOptions::new().with_allow_http(url.scheme() == "http");
                let builder = HttpBuilder::new()
                    .with_url(url)
                    .with_client_options(client)
                    .with_http_connector(transport)
                    .with_retry(RETRY);
                let built = builder.build().map_err(|error| self.settings(&error))?;
                Arc::new(PrefixStore::new(WebDav::new(built), prefix))
            }
            Location::Sftp(mut place) => {
                if let Some(command) = self.variable("COPAL_SSH") {
                    place.ssh = shlex::split(&command)
                        .filter(|words| !words.is_empty())
                        .ok_or_else(|| Error::Settings {
                            location: self.shown.clone(),
                            reason: "COPAL_SSH is no command".to_owned(),
                            needs: "it to a program and its arguments, such as `ssh -i KEYFILE`",
                        })?;
                }
                Arc::new(Sftp::new(
                    place,
                    self.options.timeout,
                    self.transport.upload,
                ))
            }
        })
    }

    /// What the variables set of one service, which knows them in lower case.
    fn keys<K: FromStr>(&self) -> impl Iterator<Item = (K, &str)> {
        let keys = self.options.variables.iter();
        keys.filter_map(|(name, value)| Some((key(name)?, value.as_str())))
    }

    /// A variable that was given, or that of the environment.
    fn variable(&self, name: &str) -> Option<String> {
        let mut given = self.options.variables.iter();
        let given = given
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.clone());
        given
            .or_else(|| std::env::var(name).ok())
            .filter(|value| !value.is_empty())
    }

    fn needed(&self, name: &str) -> Result<String, Error> {
        self.variable(name).ok_or_else(|| Error::Settings {
            location: self.shown.clone(),
            reason: format!("{name} is not set"),
            needs: credentials(&self.shown),
        })
    }

    fn settings(&self, error: &object_store::Error) -> Error {
        Error::Settings {
            location: self.shown.clone(),
            reason: crate::diagnosis::Diagnosis::of(&self.shown, error).reason,
            needs: credentials(&self.shown),
        }
    }
}

fn key<K: FromStr>(name: &str) -> Option<K> {
    name.to_ascii_lowercase().parse().ok()
}

/// Whether one of the services reads a variable of this name.
pub fn is_known(name: &str) -> bool {
    let upper = !name.contains(|c: char| c.is_ascii_lowercase());
    let known = match name.split_once('_').map(|(service, _)| service) {
        Some("AWS") => match key(name) {
            Some(AmazonS3ConfigKey::Client(option)) => transport::heeds(&option),
            key => key.is_some(),
        },
        Some("GOOGLE") => match key(name) {
            Some(GoogleConfigKey::Client(option)) => transport::heeds(&option),
            key => key.is_some(),
        },
        Some("AZURE") => match key(name) {
            Some(AzureConfigKey::Client(option)) => transport::heeds(&option),
            key => key.is_some(),
        },
        Some("B2") => matches!(
            name,
            "B2_APPLICATION_KEY_ID" | "B2_APPLICATION_KEY" | "B2_ENVIRONMENT"
        ),
        _ => name == "COPAL_SSH",
    };
    upper && known
}

fn prefixed(store: impl ObjectStore, prefix: &str) -> Arc<dyn ObjectStore> {
    match prefix {
        "" => Arc::new(store),
        prefix => Arc::new(PrefixStore::new(store, prefix)),
    }
}

/// Takes name and password out of `url`, as the header that carries them.
fn basic_authorization(mut url: Url) -> (Url, Option<HeaderValue>) {
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<_>>();
    let password = decode(url.password().unwrap_or_default());
    let credentials = [decode(url.username()), password].join(&b':');
    if credentials == b":" || url.set_username("").is_err() || url.set_password(None).is_err() {
        return (url, None);
    }
    let header = HeaderValue::try_from(format!("Basic {}", BASE64.encode(credentials))).ok();
    (
        url,
        header.map(|mut header| {
            header.set_sensitive(true);
            header
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_move_from_the_address_into_a_header() {
        let url = Url::parse("https://me%40home:p%3Aw@dav.example.org/x").unwrap();
        let (url, header) = basic_authorization(url);
        assert_eq!(url.as_str(), "https://dav.example.org/x");
        assert_eq!(header.unwrap(), "Basic bWVAaG9tZTpwOnc=");
        assert!(basic_authorization(url).1.is_none());
    }

    #[test]
    fn variables_that_count_are_known_and_no_others() {
        let names = [
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ALLOW_HTTP",
            "AZURE_STORAGE_ACCOUNT_KEY",
            "B2_APPLICATION_KEY",
            "COPAL_SSH",
            "GOOGLE_PROXY_URL",
            "GOOGLE_SERVICE_ACCOUNT",
        ];
        assert!(names.into_iter().all(is_known));
        for strange in [
            "AWS_NO_SUCH",
            "aws_region",
            "PATH",
            "AWS_TIMEOUT",
            "COPAL_CACHE_DIR",
            "B2_X",
        ] {
            assert!(!is_known(strange), "{strange}");
        }
    }
}
