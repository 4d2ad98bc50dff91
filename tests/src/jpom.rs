//! A Jpom server's files with a real H2 database, as Jpom 2.11 lays them out.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::h2::{Database, H2};

/// The identity of every sample.
pub const INSTALL_ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

/// The identity that a freshly installed Jpom has given itself.
pub const FRESH_ID: &str = "ffffeeeeddddccccbbbbaaaa99998888";

/// An identity that was here once and is bound to nothing any more.
pub const ABANDONED_ID: &str = "11112222333344445555666677778888";

/// The two places where Jpom keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The Docker image: database and data beneath `data`.
    Docker,
    /// An installation of the release archive: database and data beside `conf`.
    Plain,
}

/// A Jpom on disk.
#[derive(Debug, Clone)]
pub struct Jpom {
    h2: H2,
    home: PathBuf,
    layout: Layout,
}

impl Jpom {
    /// One that is already there.
    pub fn at(h2: &H2, home: &Path, layout: Layout) -> Self {
        Self {
            h2: h2.clone(),
            home: home.to_owned(),
            layout,
        }
    }

    /// Makes a Jpom that has been in use: two workspaces, a project, builds, keys, logs and leftovers.
    pub fn in_use(h2: &H2, home: &Path, layout: Layout) -> Self {
        let jpom = Self::at(h2, home, layout);
        jpom.files(INSTALL_ID);
        jpom.write(
            "db/execute.init.sql.log",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709\n",
        );
        jpom.write("db/backup/20260101000000.sql", "-- an SQL backup\n");
        jpom.write(
            "data/sshkey/id_rsa",
            "-----BEGIN OPENSSH PRIVATE KEY-----\n",
        );
        jpom.write(
            "data/build/b1/history/1/result/app.jar",
            crate::sample::noise(11, 300_000),
        );
        jpom.write("data/build/b1/source/pom.xml", "<project/>\n");
        jpom.write(
            "data/build/b2/history/1/result/web.zip",
            crate::sample::noise(12, 200_000),
        );
        jpom.write("data/script/s1/script.sh", "echo deployed\n");
        jpom.write("data/temp/upload.part", "left over");
        jpom.write("data/script_run_cache/x.sh", "left over");
        jpom.write("data/remote_version.json", "{}");
        std::fs::create_dir_all(home.join("logs")).unwrap();
        std::fs::write(home.join("logs/server.log"), "started\n").unwrap();
        jpom.database().run(&format!(
            "{TABLES}
            INSERT INTO CLUSTER_INFO (id, name, clusterId, url, linkGroup, lastHeartbeat) VALUES
              ('{INSTALL_ID}', 'main', 'default', 'http://jpom.example:2122', 'default', 1767225600000),
              ('{ABANDONED_ID}', 'gone', 'old', NULL, 'default', 1577836800000);
            INSERT INTO WORKSPACE (id, name, clusterInfoId) VALUES
              ('DEFAULT', '默认', '{INSTALL_ID}'), ('w2', 'second', '{INSTALL_ID}');
            INSERT INTO NODE_INFO (id, name, url) VALUES ('n1', 'agent', '10.0.0.7:2123');
            INSERT INTO BACKUP_INFO (id, name, filePath) VALUES
              ('b1', 'weekly', '{base}/db/backup/20260101000000.sql');
            INSERT INTO BUILD_INFO (id, name, script) VALUES
              ('b1', 'app', REPEAT('mvn package; ', 4000)), ('b2', 'web', 'npm run build');",
            base = jpom.base().display(),
        ));
        jpom
    }

    /// Makes a Jpom that was installed and started once, with an identity of its own and no data.
    pub fn fresh(h2: &H2, home: &Path, layout: Layout) -> Self {
        let jpom = Self::at(h2, home, layout);
        jpom.files(FRESH_ID);
        jpom.database().run(&format!(
            "{TABLES}
            INSERT INTO CLUSTER_INFO (id, name, clusterId, linkGroup, lastHeartbeat)
              VALUES ('{FRESH_ID}', 'fresh', 'default', 'default', 1767225600000);
            INSERT INTO WORKSPACE (id, name, clusterInfoId) VALUES ('DEFAULT', 'fresh', '{FRESH_ID}');",
        ));
        jpom
    }

    fn files(&self, id: &str) {
        self.write(
            "data/INSTALL.json",
            format!(r#"{{"installId":"{id}","installTime":"2025-01-02 03:04:05","desc":"do not delete"}}"#),
        );
        let configuration = self.home.join("conf/application.yml");
        std::fs::create_dir_all(configuration.parent().unwrap()).unwrap();
        std::fs::write(configuration, CONFIGURATION).unwrap();
    }

    /// The folder that holds `conf` and `logs`.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The folder that holds `db` and `data`.
    pub fn base(&self) -> PathBuf {
        match self.layout {
            Layout::Docker => self.home.join("data"),
            Layout::Plain => self.home.clone(),
        }
    }

    /// A path beneath [`base`](Self::base).
    pub fn path(&self, relative: &str) -> PathBuf {
        self.base().join(relative)
    }

    /// Writes a file beneath [`base`](Self::base), with the directories above it.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The database.
    pub fn database(&self) -> Database {
        self.h2.database(&self.path("db/Server"))
    }

    /// The identity in `INSTALL.json`.
    pub fn install_id(&self) -> String {
        let bytes = std::fs::read(self.path("data/INSTALL.json")).unwrap();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        document["installId"].as_str().unwrap().to_owned()
    }

    /// The identities that workspaces are bound to.
    pub fn bound_ids(&self) -> Vec<String> {
        self.database()
            .query("SELECT DISTINCT clusterInfoId FROM WORKSPACE ORDER BY 1")
    }

    /// The identities that clusters are registered by.
    pub fn cluster_ids(&self) -> Vec<String> {
        self.database()
            .query("SELECT id FROM CLUSTER_INFO ORDER BY 1")
    }
}

const CONFIGURATION: &str = "server:
  port: 2122
jpom:
  db:
    mode: H2
  cluster:
    id: default
    heart-second: 30
";

/// Unquoted names, as in Jpom's own scripts, so that H2 turns them to upper case.
const TABLES: &str = "
CREATE TABLE CLUSTER_INFO (id VARCHAR(50) NOT NULL, createTimeMillis BIGINT, modifyTimeMillis BIGINT, modifyUser VARCHAR(50),
  name VARCHAR(50), clusterId VARCHAR(100), url VARCHAR(200), linkGroup VARCHAR(100), lastHeartbeat BIGINT,
  localHostName VARCHAR(255), jpomVersion VARCHAR(50), statusMsg VARCHAR(255), CONSTRAINT CLUSTER_INFO_PK PRIMARY KEY (id));
CREATE TABLE WORKSPACE (id VARCHAR(50) NOT NULL, name VARCHAR(50), description VARCHAR(255), clusterInfoId VARCHAR(50),
  CONSTRAINT WORKSPACE_PK PRIMARY KEY (id));
CREATE TABLE NODE_INFO (id VARCHAR(50) NOT NULL, name VARCHAR(50), url VARCHAR(100), CONSTRAINT NODE_INFO_PK PRIMARY KEY (id));
CREATE TABLE BACKUP_INFO (id VARCHAR(50) NOT NULL, name VARCHAR(50), filePath VARCHAR(500),
  CONSTRAINT BACKUP_INFO_PK PRIMARY KEY (id));
CREATE TABLE BUILD_INFO (id VARCHAR(50) NOT NULL, name VARCHAR(50), script CLOB, CONSTRAINT BUILD_INFO_PK PRIMARY KEY (id));
";
