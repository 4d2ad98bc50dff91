//! Sample Jpom servers in the layout of Jpom's Docker image, and a look at them.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    command,
    debian::{H2, JAVA},
};

const SCHEMA: &str = include_str!("../../assets/jpom/schema.sql");
const OLD_ROWS: &str = include_str!("../../assets/jpom/old.sql");
const NEW_ROWS: &str = include_str!("../../assets/jpom/new.sql");
const APPLICATION_YML: &str = include_str!("../../assets/jpom/application.yml");

/// A server in use.
pub(crate) fn make_old(home: &Path) -> Result<()> {
    make(home, "91c653b3e17c4021b486416e33d014c8", OLD_ROWS)?;
    for (path, content) in [
        ("data/data/build/web-1/history/#1/result/app.jar", "a build"),
        ("data/data/script/deploy/script.sh", "echo deploying\n"),
        ("data/data/sshkey/id_rsa", "a key of nobody\n"),
        ("data/data/temp/upload.part", "wiped at every start"),
        ("data/data/script_run_cache/1.sh", "made anew"),
        ("data/data/remote_version.json", "{}"),
        ("data/db/backup/20231224000000.sql", "SELECT 1"),
        ("logs/server.log", "started\n"),
    ] {
        write(&home.join(path), content)?;
    }
    Ok(())
}

/// A server that was installed and started once.
pub(crate) fn make_new(home: &Path) -> Result<()> {
    make(home, "5f0e4c2d9b8a47c6a1d3e2f4b5c6d7e8", NEW_ROWS)
}

fn make(home: &Path, install_id: &str, rows: &str) -> Result<()> {
    let install = format!(
        r#"{{"installId":"{install_id}","installTime":"2023-12-24 00:00:00","desc":"请勿删除此文件,服务端安装标识"}}"#
    );
    write(&home.join("data/data/INSTALL.json"), &install)?;
    write(&home.join("conf/application.yml"), APPLICATION_YML)?;
    let script = home.join("data/db/make.sql");
    write(&script, &format!("{SCHEMA}{rows}"))?;
    command::run(h2("RunScript", home, "").arg("-script").arg(&script))?;
    fs::remove_file(script)?;
    Ok(())
}

/// Which installation a server is.
pub(crate) struct Server {
    /// By `INSTALL.json`.
    pub(crate) install_id: String,
    /// The ids in `CLUSTER_INFO`.
    pub(crate) clusters: Vec<String>,
    /// The ids that the workspaces are bound to.
    pub(crate) workspaces: Vec<String>,
}

impl Server {
    pub(crate) fn read(home: &Path) -> Result<Self> {
        let install = fs::read(home.join("data/data/INSTALL.json"))?;
        let install: Value = serde_json::from_slice(&install)?;
        Ok(Self {
            install_id: install["installId"]
                .as_str()
                .context("INSTALL.json has no installId")?
                .to_owned(),
            clusters: column(home, "SELECT id FROM CLUSTER_INFO ORDER BY id")?,
            workspaces: column(
                home,
                "SELECT DISTINCT clusterInfoId FROM WORKSPACE ORDER BY 1",
            )?,
        })
    }
}

/// The one column that a query answers, read without changing the file.
fn column(home: &Path, query: &str) -> Result<Vec<String>> {
    let answer = command::output(h2("Shell", home, ";ACCESS_MODE_DATA=r").args(["-sql", query]))?;
    // A heading, the rows, and a line that counts them.
    let rows = answer
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('('));
    Ok(rows.map(|row| row.trim().to_owned()).collect())
}

/// One of H2's tools on a server's database.
fn h2(tool: &str, home: &Path, options: &str) -> Command {
    let database = home.join("data/db/Server");
    let mut command = Command::new(JAVA.file);
    command
        .args(["-Dfile.encoding=UTF-8", "-cp", H2.file])
        .arg(format!("org.h2.tools.{tool}"))
        .arg("-url")
        .arg(format!(
            "jdbc:h2:{};MODE=MYSQL{options}",
            database.display()
        ))
        .args(["-user", "jpom", "-password", "jpom"]);
    command
}

fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
