//! Opening what an address leads to.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientOptions, HeaderMap, HeaderValue, ObjectStore, RetryConfig,
};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::Error;
use crate::location::Location;

/// Some 25 seconds of patience for a service that fails: longer than a restart of a server, shorter than a user's.
const RETRY: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(8),
        base: 2.0,
    },
    max_retries: 8,
    retry_timeout: Duration::from_secs(180),
};

/// A place that holds objects by name. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    location: Arc<str>,
    directory: Option<PathBuf>,
}

impl Store {
    /// The objects, by names relative to the address.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// The address, without credentials.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The same place through another store, such as one that counts what passes, or that fails.
    pub fn through(self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self {
            objects: wrap(self.objects),
            ..self
        }
    }

    /// Makes the directories `names` where directories exist at all: in a local store, readable by their owner only.
    ///
    /// # Errors
    /// A directory cannot be made.
    pub fn create_directories<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let Some(root) = &self.directory else {
            return Ok(());
        };
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        for path in
            std::iter::once(root.clone()).chain(names.into_iter().map(|name| root.join(name)))
        {
            builder
                .create(&path)
                .map_err(|source| Error::Directory { path, source })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.location).finish()
    }
}

/// Opens the place at `location`. Nothing is read or written yet, so it need not exist.
///
/// # Errors
/// The address or the settings in the environment lead nowhere.
pub fn open(location: &str) -> Result<Store, Error> {
    open_with(location, &[])
}

/// Opens the place at `location` as [`open`] does, with variables that go before those of the environment, such as `AWS_ACCESS_KEY_ID`.
///
/// # Errors
/// As [`open`], and where no service knows a variable.
pub fn open_with(location: &str, variables: &[(String, String)]) -> Result<Store, Error> {
    if let Some((name, _)) = variables.iter().find(|(name, _)| !is_known(name)) {
        return Err(Error::Variable(name.clone()));
    }
    let location = Location::parse(location)?;
    let shown = location.to_string();
    let settings = |needs| {
        let location = shown.clone();
        move |source| Error::Settings {
            location,
            needs,
            source: Box::new(source),
        }
    };
    let directory = match &location {
        Location::Local(path) => Some(path.clone()),
        _ => None,
    };
    let objects: Arc<dyn ObjectStore> = match location {
        Location::Local(path) => {
            let prefix = Path::from_absolute_path(&path).map_err(|error| Error::Location {
                location: shown.clone(),
                reason: error.to_string(),
            })?;
            Arc::new(PrefixStore::new(
                LocalFileSystem::new().with_fsync(true),
                prefix,
            ))
        }
        Location::Memory => Arc::new(InMemory::new()),
        Location::S3 {
            endpoint,
            bucket,
            prefix,
        } => {
            let mut builder = AmazonS3Builder::from_env();
            for (key, value) in keys::<AmazonS3ConfigKey>(variables) {
                builder = builder.with_config(key, value);
            }
            builder = builder.with_bucket_name(bucket).with_retry(RETRY);
            if let Some(endpoint) = endpoint {
                builder = builder
                    .with_allow_http(endpoint.starts_with("http:"))
                    .with_endpoint(endpoint);
            }
            let needs = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL for other services";
            prefixed(builder.build().map_err(settings(needs))?, &prefix)
        }
        Location::Google { bucket, prefix } => {
            let mut builder = GoogleCloudStorageBuilder::from_env();
            for (key, value) in keys::<GoogleConfigKey>(variables) {
                builder = builder.with_config(key, value);
            }
            builder = builder.with_bucket_name(bucket).with_retry(RETRY);
            prefixed(
                builder
                    .build()
                    .map_err(settings("GOOGLE_APPLICATION_CREDENTIALS"))?,
                &prefix,
            )
        }
        Location::Azure { container, prefix } => {
            let mut builder = MicrosoftAzureBuilder::from_env();
            for (key, value) in keys::<AzureConfigKey>(variables) {
                builder = builder.with_config(key, value);
            }
            builder = builder.with_container_name(container).with_retry(RETRY);
            let needs = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY";
            prefixed(builder.build().map_err(settings(needs))?, &prefix)
        }
        Location::WebDav(url) => {
            let mut options = ClientOptions::new().with_allow_http(url.scheme() == "http");
            let (url, authorization) = basic_authorization(url);
            if let Some(authorization) = authorization {
                let mut headers = HeaderMap::new();
                headers.insert("authorization", authorization);
                options = options.with_default_headers(headers);
            }
            let builder = HttpBuilder::new()
                .with_url(url)
                .with_client_options(options)
                .with_retry(RETRY);
            Arc::new(
                builder
                    .build()
                    .map_err(settings("the address of a WebDAV folder"))?,
            )
        }
    };
    Ok(Store {
        objects,
        location: shown.into(),
        directory,
    })
}

/// What the variables set of one service, which knows them in lower case.
fn keys<K: FromStr>(variables: &[(String, String)]) -> impl Iterator<Item = (K, &str)> {
    let keys = variables.iter();
    keys.filter_map(|(name, value)| Some((key(name)?, value.as_str())))
}

fn key<K: FromStr>(name: &str) -> Option<K> {
    name.to_ascii_lowercase().parse().ok()
}

/// Whether one of the services reads a variable of this name.
pub fn is_known(name: &str) -> bool {
    let upper = !name.contains(|c: char| c.is_ascii_lowercase());
    let known = [
        name.starts_with("AWS_") && key::<AmazonS3ConfigKey>(name).is_some(),
        name.starts_with("GOOGLE_") && key::<GoogleConfigKey>(name).is_some(),
        name.starts_with("AZURE_") && key::<AzureConfigKey>(name).is_some(),
    ];
    upper && known.contains(&true)
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
    use object_store::ObjectStoreExt as _;

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
    fn variables_that_are_given_reach_their_service_and_strange_ones_are_refused() {
        let given = |name: &str| vec![(name.to_owned(), "x".to_owned())];
        let names = [
            "AWS_SECRET_ACCESS_KEY",
            "AZURE_STORAGE_ACCOUNT_KEY",
            "GOOGLE_SERVICE_ACCOUNT",
        ];
        assert!(names.into_iter().all(is_known));
        for strange in ["AWS_NO_SUCH", "aws_region", "PATH"] {
            let error = open_with("memory:", &given(strange)).unwrap_err();
            assert!(error.to_string().contains(strange), "{error}");
        }
        // A key that is no base64 is refused where it arrives.
        let mut azure = given("AZURE_STORAGE_ACCOUNT_NAME");
        azure.push(("AZURE_STORAGE_ACCOUNT_KEY".to_owned(), "*".to_owned()));
        assert!(open_with("az://container", &azure).is_err());
    }

    #[tokio::test]
    async fn a_local_store_appears_on_demand_and_reports_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b%20#c");
        let store = open(path.to_str().unwrap()).unwrap();
        let name = Path::from("keys/1234");
        let error = store.objects().get(&name).await.unwrap_err();
        assert!(Error::new(store.location(), "read", "keys/1234", error).is_not_found());
        assert!(!path.exists());
        store.create_directories(["keys"]).unwrap();
        store.objects().put(&name, "abc".into()).await.unwrap();
        assert_eq!(std::fs::read(path.join("keys/1234")).unwrap(), b"abc");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}
