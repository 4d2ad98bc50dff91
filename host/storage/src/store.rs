//! Opening what an address leads to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;

use crate::interruptible::Interruptible;
use crate::location::Location;
use crate::options::Options;
use crate::{Error, services};

/// A place that holds objects by name. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    location: Arc<str>,
    pub(crate) directory: Option<PathBuf>,
    immediate: bool,
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

    /// How many requests at a time make good use of the place: as in restic, few where nothing is far away.
    pub fn connections(&self) -> usize {
        match self.directory {
            Some(_) => 2,
            None => 5,
        }
    }

    /// Whether reads never wait, so that they need no runtime: the calling thread does them itself.
    pub fn is_immediate(&self) -> bool {
        self.immediate
    }

    /// The same place through another store, such as one that counts what passes, or that fails.
    pub fn through(self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self {
            objects: wrap(self.objects),
            immediate: false,
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
    open_with(location, &Options::default())
}

/// Opens the place at `location` as [`open`] does, with options.
///
/// # Errors
/// As [`open`], and where no service knows a variable.
pub fn open_with(location: &str, options: &Options) -> Result<Store, Error> {
    let mut names = options.variables.iter().map(|(name, _)| name);
    if let Some(name) = names.find(|name| !services::is_known(name)) {
        return Err(Error::Variable(name.clone()));
    }
    let location = Location::parse(location)?;
    let directory = match &location {
        Location::Local(path) => Some(path.clone()),
        _ => None,
    };
    let shown = location.to_string();
    let mut objects = services::open(location, options)?;
    // A directory answers at once, unless it is to be slow.
    let limited = options.limit_upload.is_some() || options.limit_download.is_some();
    let interrupt = options.interrupt.as_ref();
    if let Some(interrupt) = interrupt.filter(|_| directory.is_none() || limited) {
        objects = Arc::new(Interruptible::new(objects, interrupt.clone()));
    }
    Ok(Store {
        immediate: directory.is_some() && !limited,
        location: shown.into(),
        objects,
        directory,
    })
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;
    use object_store::path::Path;

    use super::*;

    #[test]
    fn variables_that_are_given_reach_their_service_and_strange_ones_are_refused() {
        let given = |names: &[&str]| Options {
            variables: names
                .iter()
                .map(|name| ((*name).to_owned(), "*".to_owned()))
                .collect(),
            ..Options::default()
        };
        let error = open_with("memory:", &given(&["AWS_NO_SUCH"])).unwrap_err();
        assert!(error.to_string().contains("AWS_NO_SUCH"), "{error}");
        // A key that is no base64 is refused where it arrives.
        let azure = given(&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"]);
        assert!(open_with("az://container", &azure).is_err());
        let error = open_with("b2://bucket", &given(&["B2_APPLICATION_KEY_ID"])).unwrap_err();
        assert!(
            error.to_string().contains("B2_APPLICATION_KEY is not set"),
            "{error}"
        );
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
            use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
            let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode();
            assert_eq!(mode(&path) & 0o777, 0o700);
            let file = path.join("keys/1234");
            assert_eq!(mode(&file) & 0o777, 0o600);
            store.objects().put(&name, "other".into()).await.unwrap();
            let parts = Path::from("keys/parts");
            let mut upload = store.objects().put_multipart(&parts).await.unwrap();
            upload.put_part("abc".into()).await.unwrap();
            upload.complete().await.unwrap();
            assert_eq!(mode(&path.join("keys/parts")) & 0o777, 0o600);
            // A folder that others may only look into shares nothing; nor does one of another group.
            let shared = |mode| std::fs::Permissions::from_mode(mode);
            for (folder, expected) in [(0o755, 0o600), (0o750, 0o600), (0o2770, 0o660)] {
                std::fs::set_permissions(path.join("keys"), shared(folder)).unwrap();
                store.objects().put(&name, "ours".into()).await.unwrap();
                assert_eq!(mode(&file) & 0o777, expected, "in {folder:o}");
            }
            std::fs::set_permissions(path.join("keys"), shared(0o770)).unwrap();
            let another = file.metadata().unwrap().gid() + 1;
            if std::os::unix::fs::chown(path.join("keys"), None, Some(another)).is_ok() {
                store.objects().put(&name, "mine".into()).await.unwrap();
                assert_eq!(mode(&file) & 0o777, 0o600);
            }
        }
    }
}
