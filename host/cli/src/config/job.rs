//! What a job's sections become for those who do the work: paths absolute, references read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use copal_job::{OperatorFeed, OperatorStream, Schema, Settings};
use copal_sandbox::types::Fragment;

use super::reference::Text;
use super::settings;
use super::types::{Hooks, Job, Place, Postgres, Repository};
use crate::args::Limits;
use crate::failure::Failure;
use crate::plugins;

/// The sections of a job that say where it is restored to.
pub(super) const PLACES: [&str; 3] = ["restore", "migrate", "drill"];

/// A plugin as it is looked for: by its name, which never becomes a file, or by an absolute path; a relative one begins at the file's directory.
pub(super) fn plugin_of(plugin: &str, directory: &Path) -> String {
    if !plugins::is_path(plugin) {
        return plugin.to_owned();
    }
    let path = directory.join(plugin);
    let path = std::path::absolute(&path).unwrap_or(path);
    path.to_string_lossy().into_owned()
}

impl Job {
    /// The tag of the job's snapshots.
    pub(crate) fn tag(&self) -> String {
        format!("job:{}", self.name)
    }

    /// The directories to read.
    pub(crate) fn sources(&self) -> Vec<(Option<String>, PathBuf)> {
        named(&self.roots)
    }

    /// The plugin's settings for a backup, references read.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        settings::read(&self.config)
    }

    /// The operator's own streams, references read.
    pub(crate) fn own_streams(&self) -> Result<Vec<OperatorStream>, Failure> {
        let own = self.streams.iter().map(|stream| {
            Ok(OperatorStream {
                name: stream.name.clone(),
                command: copal_job::command(
                    &stream.command,
                    variables(&stream.environment)?,
                    stream.timeout,
                ),
                window: stream.window.into(),
            })
        });
        own.collect()
    }

    /// Takes out what stands in the job and must not: the values that the plugin's schema marks `writeOnly`.
    pub(crate) fn without_secrets(mut self, schema: &Schema) -> Self {
        let restore = self.restore.iter_mut().map(|restore| &mut restore.place);
        let drill = self.drill.iter_mut().map(|drill| &mut drill.place);
        let places = restore.chain(&mut self.migrate).chain(drill);
        let configs = places.map(|place| &mut place.config);
        for config in configs.chain([&mut self.config]) {
            *config = settings::without_secrets(config, schema);
        }
        self
    }

    /// Gives the job what its own table does not say, and makes its paths absolute.
    pub(super) fn complete(&mut self, name: String, repository: &Repository, directory: &Path) {
        self.name = name;
        self.repository.inherit(repository);
        self.repository.rebase(directory);
        self.plugin = plugin_of(&self.plugin, directory);
        rebase_roots(&mut self.roots, directory);
        settings::rebase(&mut self.config, directory);
        for stream in &mut self.streams {
            rebase_texts(stream.environment.values_mut(), directory);
        }
        let restore = self.restore.iter_mut().map(|restore| &mut restore.place);
        let drill = self.drill.iter_mut().map(|drill| &mut drill.place);
        for place in restore.chain(&mut self.migrate).chain(drill) {
            place.rebase(directory);
        }
        if let Some(drill) = &mut self.drill {
            let bin = drill
                .postgres
                .iter_mut()
                .filter_map(|postgres| postgres.bin.as_mut());
            let own = drill.evidence.iter_mut().chain(&mut drill.directory);
            for path in own.chain(bin) {
                *path = directory.join(&*path);
            }
        }
    }
}

impl Place {
    /// The directories to fill.
    pub(crate) fn targets(&self) -> Vec<(Option<String>, PathBuf)> {
        named(&self.roots)
    }

    /// The plugin's settings here, references read.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        settings::read(&self.config)
    }

    /// The commands that take the operator's own streams, references read.
    pub(crate) fn feeds(&self) -> Result<Vec<OperatorFeed>, Failure> {
        let feeds = self.streams.iter().map(|(name, feed)| {
            Ok(OperatorFeed {
                name: name.clone(),
                command: copal_job::command(
                    &feed.command,
                    variables(&feed.environment)?,
                    feed.timeout,
                ),
            })
        });
        feeds.collect()
    }

    fn rebase(&mut self, directory: &Path) {
        rebase_roots(&mut self.roots, directory);
        settings::rebase(&mut self.config, directory);
        for feed in self.streams.values_mut() {
            rebase_texts(feed.environment.values_mut(), directory);
        }
    }
}

impl Repository {
    fn inherit(&mut self, other: &Self) {
        // Who names another repository means another password and other credentials too.
        if self.url.is_some() {
            return;
        }
        self.url.clone_from(&other.url);
        if self.password.is_none() {
            self.password.clone_from(&other.password);
        }
        for (name, value) in &other.environment {
            self.environment
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        self.limit_upload = self.limit_upload.or(other.limit_upload);
        self.limit_download = self.limit_download.or(other.limit_download);
        self.timeout = self.timeout.or(other.timeout);
        self.retry_lock = self.retry_lock.or(other.retry_lock);
    }

    fn rebase(&mut self, directory: &Path) {
        if let Some(password) = &mut self.password {
            password.rebase(directory);
        }
        rebase_texts(
            self.environment.values_mut().chain(&mut self.url),
            directory,
        );
        // What is no URL is a path.
        if let Some(Text::Plain(url)) = &mut self.url
            && !url.contains(':')
        {
            *url = directory.join(&*url).to_string_lossy().into_owned();
        }
    }

    /// The variables of the storage service, references read.
    pub(crate) fn variables(&self) -> Result<Vec<(String, String)>, Failure> {
        let variables = self.environment.iter();
        variables
            .map(|(name, value)| Ok((name.clone(), value.reveal()?)))
            .collect()
    }

    /// How the storage service is talked to.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            upload: self.limit_upload,
            download: self.limit_download,
            timeout: self.timeout,
        }
    }
}

impl From<Hooks> for copal_job::Hooks {
    fn from(hooks: Hooks) -> Self {
        let Hooks {
            before,
            after,
            failed,
            finally,
            timeout,
        } = hooks;
        Self {
            before,
            after,
            failed,
            finally,
            timeout,
        }
    }
}

impl From<Postgres> for copal_job::Postgres {
    fn from(postgres: Postgres) -> Self {
        let Postgres {
            databases,
            prepare,
            bin,
            user,
            timeout,
        } = postgres;
        Self {
            databases,
            prepare,
            bin,
            user,
            timeout,
        }
    }
}

fn named(roots: &BTreeMap<String, PathBuf>) -> Vec<(Option<String>, PathBuf)> {
    let roots = roots.iter();
    roots
        .map(|(name, path)| (Some(name.clone()), path.clone()))
        .collect()
}

fn variables(environment: &BTreeMap<String, Text>) -> Result<Vec<(String, Fragment)>, Failure> {
    let variables = environment.iter();
    variables
        .map(|(name, value)| Ok((name.clone(), value.read()?)))
        .collect()
}

fn rebase_roots(roots: &mut BTreeMap<String, PathBuf>, directory: &Path) {
    for path in roots.values_mut() {
        *path = directory.join(&*path);
    }
}

fn rebase_texts<'a>(texts: impl IntoIterator<Item = &'a mut Text>, directory: &Path) {
    for text in texts {
        if let Text::Elsewhere(reference) = text {
            reference.rebase(directory);
        }
    }
}
