//! What lies in a tree: where Jpom's parts are and what its files say, for every call alike.

use copal_sdk::h2::{self, Header, Place};
use copal_sdk::{Failure, Finding, Kind, Tree, Trees};

use crate::application_yml::{self, Settings};
use crate::install_json::{self, InstallJson};
use crate::layout::{CONF, DATA, HOME, Layout, join, relative};

/// More than any `INSTALL.json` holds.
const LARGEST_INSTALL: usize = 64 << 10;

/// The tree that holds Jpom's folder: the root `home`, else `data`.
pub(crate) fn main_tree(trees: &Trees) -> Result<&dyn Tree, Failure> {
    let tree = trees.get(HOME).or_else(|| trees.get(DATA));
    tree.ok_or_else(|| {
        Failure::missing("jpom.root", "neither the root `home` nor the root `data` is given")
            .remedy("give the folder that holds conf, data and logs, or `data=` and `conf=` where they are mounted apart")
    })
}

/// Which database Jpom works with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A file that Jpom opens itself.
    H2,
    /// H2, but another process serves it.
    H2Server,
    /// A server; the name is `jpom.db.mode`'s.
    External(String),
}

impl Mode {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::H2 => "H2",
            Self::H2Server => "H2 server",
            Self::External(name) => name,
        }
    }
}

/// The database's file.
#[derive(Debug)]
pub(crate) struct Database {
    /// Its path in the root, without suffix.
    pub(crate) path: String,
    pub(crate) header: Result<Header, h2::Error>,
}

impl Database {
    /// The file's path in the root.
    pub(crate) fn file(&self) -> String {
        format!("{}{}", self.path, h2::FILE_SUFFIX)
    }

    pub(crate) fn clean(&self) -> bool {
        self.header.as_ref().is_ok_and(|header| header.clean)
    }
}

/// An `INSTALL.json`.
#[derive(Debug)]
pub(crate) struct Install {
    /// Its path in the root.
    pub(crate) path: String,
    pub(crate) content: Result<InstallJson, install_json::Error>,
    /// The paths of others, in the places where another reading of Jpom's guide puts it.
    pub(crate) copies: Vec<String>,
}

impl Install {
    /// The path of every one that there is.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.path).chain(&self.copies)
    }
}

/// What a tree and, where it is apart, its `conf` hold.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Where Jpom's folder is; none where there is no trace of one.
    pub(crate) layout: Option<Layout>,
    pub(crate) settings: Settings,
    /// Where `application.yml` was found, as `ROOT/PATH`.
    pub(crate) settings_file: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) database: Option<Database>,
    pub(crate) install: Option<Install>,
    /// The version that the program's jar tells, where it lies in the root.
    pub(crate) version: Option<String>,
    /// What contradicts itself or is not what it should be.
    pub(crate) problems: Vec<Finding>,
}

impl Survey {
    /// Looks through a tree. `locations` are the absolute paths that the root has or had, against which those in `application.yml` are read.
    pub(crate) fn of(
        main: &dyn Tree,
        conf: Option<&dyn Tree>,
        locations: &[&str],
    ) -> Result<Self, Failure> {
        let mut problems = Vec::new();
        let (settings, settings_file) = read_settings(main, conf, &mut problems)?;
        let mode = mode(&settings);
        let layout = find_layout(main, &settings, locations, &mut problems)?;
        let mut survey = Self {
            layout: None,
            settings,
            settings_file,
            mode,
            database: None,
            install: None,
            version: find_version(main)?,
            problems,
        };
        if let Some(layout) = layout {
            for folder in ["", "db", "data"] {
                survey.refuse_link(main, &layout.path(folder))?;
            }
            survey.find_install(main, &layout)?;
            if survey.mode == Mode::H2 {
                survey.find_database(main, &layout, locations)?;
            }
            survey.layout = Some(layout);
        }
        Ok(survey)
    }

    /// The id of a readable `INSTALL.json`.
    pub(crate) fn id(&self) -> Option<&str> {
        let content = self.install.as_ref()?.content.as_ref().ok()?;
        Some(&content.install_id)
    }

    /// Refuses a symlink, which would be saved as one without what it leads to, and says whether it is one.
    fn refuse_link(&mut self, main: &dyn Tree, path: &str) -> Result<bool, Failure> {
        let entry = main.stat(path)?;
        let link = entry.is_some_and(|entry| entry.kind == Kind::Symlink);
        if link {
            self.problems.push(
                Finding::error(
                    "jpom.symlink",
                    "This is a symbolic link, and what it leads to would not be covered.",
                )
                .remedy("Give the place that it leads to, or mount it there instead of linking it.")
                .at(join(&main.name(), path)),
            );
        }
        Ok(link)
    }

    /// Finds `INSTALL.json`, and any second one that says otherwise.
    fn find_install(&mut self, main: &dyn Tree, layout: &Layout) -> Result<(), Failure> {
        let mut places = layout.install_files().to_vec();
        for other in ["data", ""].map(|base| Layout::new(&layout.root, base)) {
            places.extend(other.install_files());
        }
        let mut seen = Vec::new();
        for path in places {
            if seen.contains(&path) || !is_file(main, &path)? {
                continue;
            }
            seen.push(path.clone());
            if self.refuse_link(main, &path)? {
                continue;
            }
            let content = InstallJson::parse(&main.read_all(&path, LARGEST_INSTALL)?);
            match &mut self.install {
                None => {
                    self.install = Some(Install {
                        path,
                        content,
                        copies: Vec::new(),
                    });
                }
                Some(first) => {
                    let ids = (&first.content, &content);
                    if !matches!(ids, (Ok(one), Ok(two)) if one.install_id == two.install_id) {
                        self.problems.push(
                            Finding::error(
                                "jpom.mixed",
                                format!("There are two INSTALL.json, {} and {path}, and they do not hold the same id.", first.path),
                            )
                            .remedy(format!("Jpom reads {} alone: remove the one that is a leftover.", layout.path("data/INSTALL.json")))
                            .at(join(&layout.root, &path)),
                        );
                    }
                    first.copies.push(path);
                }
            }
        }
        Ok(())
    }

    /// Finds the database's file, where `jpom.db.url` or the layout puts it.
    fn find_database(
        &mut self,
        main: &dyn Tree,
        layout: &Layout,
        locations: &[&str],
    ) -> Result<(), Failure> {
        let usual = layout.database();
        let url = self.settings.database();
        let place = url.map(|url| url.place);
        let path = match &place {
            None => usual,
            Some(place) => {
                let configured = match place {
                    Place::File(path) => within(locations, path),
                    _ => None,
                };
                match configured {
                    Some(path) => path,
                    None => {
                        let found = is_file(main, &format!("{usual}{}", h2::FILE_SUFFIX))?;
                        let finding = elsewhere(place, found, self.settings_file.as_deref());
                        self.problems.push(finding);
                        usual
                    }
                }
            }
        };
        let file = format!("{path}{}", h2::FILE_SUFFIX);
        self.refuse_link(main, &file)?;
        if main.stat(&file)?.is_some_and(|entry| entry.is_file()) {
            let beginning = main.read(&file, 0, h2::HEADER_LENGTH as u32)?;
            self.database = Some(Database {
                path,
                header: Header::read(&beginning),
            });
        }
        Ok(())
    }
}

/// What to say of a database URL that leads out of the root. In a container the same place has another name, so a database in
/// the usual place is taken for it.
fn elsewhere(place: &Place, found: bool, settings_file: Option<&str>) -> Finding {
    let missing = |place: String| {
        Finding::error(
            "jpom.db.elsewhere",
            format!("`jpom.db.url` puts the database in {place}, so it would be missing from the snapshot."),
        )
        .remedy("Give a root that holds the database.")
    };
    let finding = match place {
        Place::File(path) if found => Finding::warning(
            "jpom.db.url",
            format!("`jpom.db.url` puts the database in {path}, outside the root; the one in its usual place is taken for it."),
        )
        .remedy("Make sure that it is the same, seen from within Jpom's container."),
        Place::File(path) => missing(format!("{path}, outside the root")),
        Place::Special(kind) => missing(format!("a file system of the kind `{kind}`")),
        Place::Server => missing("a server".to_owned()),
        Place::Memory => Finding::error(
            "jpom.db.memory",
            "`jpom.db.url` keeps the database in memory, from which nothing can be saved.",
        )
        .remedy("Keep the database in a file."),
    };
    finding.at(settings_file.unwrap_or_default())
}

/// An absolute path as one within a root that has or had one of these locations.
fn within(locations: &[&str], path: &str) -> Option<String> {
    locations
        .iter()
        .find_map(|location| relative(location, path))
}

fn is_file(tree: &dyn Tree, path: &str) -> Result<bool, Failure> {
    let entry = tree.stat(path)?;
    Ok(entry.is_some_and(|entry| matches!(entry.kind, Kind::File | Kind::Symlink)))
}

fn read_settings(
    main: &dyn Tree,
    conf: Option<&dyn Tree>,
    problems: &mut Vec<Finding>,
) -> Result<(Settings, Option<String>), Failure> {
    let places = [
        conf.map(|conf| (conf, CONF, "application.yml")),
        (main.name() == HOME).then_some((main, HOME, "conf/application.yml")),
    ];
    for (tree, root, path) in places.into_iter().flatten() {
        let Some(entry) = tree.stat(path)? else {
            continue;
        };
        let file = join(root, path);
        let unreadable = |reason: String| {
            Finding::warning(
                "jpom.conf.unreadable",
                format!("This file was not understood, so Jpom's defaults are assumed: {reason}."),
            )
            .remedy("Check that the database is the one in Jpom's own folder.")
            .at(join(root, path))
        };
        if entry.size > application_yml::LARGEST {
            problems.push(unreadable(format!("it holds {} bytes", entry.size)));
            return Ok((Settings::default(), Some(file)));
        }
        let bytes = tree.read_all(path, application_yml::LARGEST as usize)?;
        let settings = Settings::parse(&bytes).unwrap_or_else(|error| {
            problems.push(unreadable(error.to_string()));
            Settings::default()
        });
        note_placeholders(&settings, &file, problems);
        return Ok((settings, Some(file)));
    }
    Ok((Settings::default(), None))
}

/// A placeholder's value comes from the environment of the running Jpom, which can't be seen.
fn note_placeholders(settings: &Settings, file: &str, problems: &mut Vec<Finding>) {
    let values = [
        (
            "jpom.path",
            &settings.path,
            settings.path.or("the layout of the root"),
        ),
        ("jpom.db.mode", &settings.mode, settings.mode.or("H2")),
        (
            "jpom.db.url",
            &settings.url,
            settings.url.or("the usual place"),
        ),
        ("jpom.db.user-pwd", &settings.password, "the default"),
    ];
    for (name, value, taken) in values {
        if !value.placeholders.is_empty() {
            let names = value.placeholders.join(", ");
            problems.push(
                Finding::info(
                    "jpom.conf.placeholder",
                    format!("`{name}` depends on the environment variables {names} of the running Jpom; {taken} is assumed."),
                )
                .at(file),
            );
        }
    }
}

fn mode(settings: &Settings) -> Mode {
    let name = settings.mode.or("H2").to_ascii_uppercase();
    let served = settings.database();
    if name != "H2" {
        Mode::External(name)
    } else if served.is_some_and(|url| url.place == Place::Server) {
        Mode::H2Server
    } else {
        Mode::H2
    }
}

/// Finds Jpom's folder: where `jpom.path` says, else by its database, else by its `INSTALL.json`.
fn find_layout(
    main: &dyn Tree,
    settings: &Settings,
    locations: &[&str],
    problems: &mut Vec<Finding>,
) -> Result<Option<Layout>, Failure> {
    let root = main.name();
    let configured = settings.path.text.as_deref();
    if let Some(base) = configured.and_then(|path| within(locations, path)) {
        return Ok(Some(Layout::new(root, base)));
    }
    let candidates = ["data", ""].map(|base| Layout::new(&root, base));
    let mut with_database = Vec::new();
    for layout in &candidates {
        if is_file(main, &format!("{}{}", layout.database(), h2::FILE_SUFFIX))? {
            with_database.push(layout.clone());
        }
    }
    if with_database.len() > 1 {
        problems.push(
            Finding::error("jpom.mixed", "There are two databases, in data/db and in db: two layouts lie in one another.")
                .remedy("Remove the one that Jpom does not use, or set `jpom.path` in conf/application.yml.")
                .at(&root),
        );
    }
    if let Some(layout) = with_database.into_iter().next() {
        return Ok(Some(layout));
    }
    for folder in ["data/INSTALL.json", "db"] {
        for layout in &candidates {
            if main.exists(&layout.path(folder))? {
                return Ok(Some(layout.clone()));
            }
        }
    }
    Ok(None)
}

/// The version in the name of the program's jar, `lib/server-2.11.12.jar`.
fn find_version(main: &dyn Tree) -> Result<Option<String>, Failure> {
    let lib = main.stat("lib")?;
    if main.name() != HOME || !lib.is_some_and(|lib| lib.is_directory()) {
        return Ok(None);
    }
    let jars = main.list("lib")?;
    let mut versions = jars.iter().filter_map(|jar| {
        let version = jar.name().strip_prefix("server-")?.strip_suffix(".jar")?;
        version
            .starts_with(|c: char| c.is_ascii_digit())
            .then(|| version.to_owned())
    });
    Ok(versions.next_back())
}
