//! Metabases: their application database in PostgreSQL and in H2, and stand-ins for what of Metabase a backup talks to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::liquibase::Liquibase;
use crate::programs;
use crate::run::Program;

/// The tables and rows of an instance in use.
const SAMPLE: &str = include_str!("../data/metabase/sample.sql");

/// The SQL that makes an application database in PostgreSQL.
pub fn in_postgres() -> String {
    let sample = SAMPLE.replace("{key}", "key").replace("{value}", "value");
    format!(
        "CREATE EXTENSION IF NOT EXISTS citext;\n{}",
        sample.replace("{email}", "citext")
    )
}

/// The SQL that takes the rows of people out again: what a Metabase that nobody has set up looks like.
pub const NOBODY: &str = "DELETE FROM report_dashboard; DELETE FROM report_card; DELETE FROM core_user WHERE id <> 13371338;";

/// H2, from one jar.
#[derive(Debug, Clone)]
pub struct H2 {
    java: PathBuf,
    jar: PathBuf,
}

impl H2 {
    /// Java and this jar; none, after saying so, where one is missing.
    pub fn of(jar: &Path, package: &str) -> Option<Self> {
        let java = programs::require("java", "default-jre-headless")?;
        if !jar.is_file() {
            programs::missing(&format!("there is no {} ({package})", jar.display()));
            return None;
        }
        let jar = jar.canonicalize().unwrap();
        Some(Self { java, jar })
    }

    /// Debian's H2 2.1, which works with format 2, as Metabase since 0.46 does.
    pub fn debian() -> Option<Self> {
        Self::of(
            Path::new("/usr/share/java/h2.jar"),
            "Debian package libh2-java",
        )
    }

    /// H2 1.4.200, 2.1.214 and 2.2.224, which work with the formats 1, 2 and 3.
    pub fn of_every_format() -> Option<[Self; 3]> {
        let [old, new] = Liquibase::find()?.h2_jars();
        let package = "in npm's package liquibase";
        Some([
            Self::of(&old, package)?,
            Self::debian()?,
            Self::of(&new, package)?,
        ])
    }

    /// The jar.
    pub fn jar(&self) -> &Path {
        &self.jar
    }

    /// Makes an application database: `path` with `.mv.db` behind it. Where this jar has made one before, it is a copy.
    pub fn create(&self, path: &Path) {
        static MADE: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = path.to_owned().into_os_string();
        file.push(".mv.db");
        let mut made = MADE.lock().unwrap();
        if let Some(bytes) = made.get(&self.jar) {
            std::fs::write(file, bytes).unwrap();
            return;
        }
        let sample = SAMPLE
            .replace("{key}", "\"KEY\"")
            .replace("{value}", "\"VALUE\"")
            .replace("{email}", "varchar(254)");
        self.run(path, &sample);
        made.insert(self.jar.clone(), std::fs::read(file).unwrap());
    }

    /// Runs SQL in a database, and closes it cleanly.
    pub fn run(&self, path: &Path, sql: &str) {
        self.tool(path, "").input(sql).run().succeeds();
    }

    /// The first column of a query's rows.
    pub fn query(&self, path: &Path, sql: &str) -> Vec<String> {
        let outcome = self
            .tool(path, ";IFEXISTS=TRUE;ACCESS_MODE_DATA=r")
            .input(format!("{sql};"))
            .run()
            .succeeds();
        let text = outcome.text();
        text.lines()
            .filter_map(|line| line.strip_prefix("--> "))
            .map(str::to_owned)
            .collect()
    }

    /// `RunScript` with a database, which reads SQL on its standard input.
    pub fn tool(&self, path: &Path, options: &str) -> Program {
        Program::new(&self.java)
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
            .args(["-Dfile.encoding=UTF-8", "-cp"])
            .arg(&self.jar)
            .args(["org.h2.tools.RunScript", "-url"])
            .arg(format!("jdbc:h2:{}{options}", path.display()))
            .args(["-script", "/dev/stdin", "-showResults"])
            .env("LANG", "C.UTF-8")
    }
}

/// A stand-in for the API of a running Metabase: knows the key `mb_key`, answers its version, and remembers what it was asked to be.
#[derive(Debug)]
pub struct Api {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// The key that it takes.
    pub const KEY: &'static str = "mb_key";

    /// Starts it on a free port of 127.0.0.1; it ends with the test.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that breaks off is its own affair.
                let _ = answer(stream, &remembered);
            }
        });
        Self { address, asked }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.address
    }

    /// The bodies of the accepted requests about the read-only mode, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        head.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let (status, content) = match head.first().map(String::as_str) {
        Some("GET /api/session/properties HTTP/1.1") => (
            "200 OK",
            r#"{"version":{"date":"2024-06-20","tag":"v0.50.3"}}"#,
        ),
        Some("PUT /api/setting/read-only-mode HTTP/1.1") => {
            if header("x-api-key").as_deref() == Some(Api::KEY) {
                asked
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&body).into_owned());
                ("204 No Content", "")
            } else {
                ("401 Unauthorized", "Unauthenticated")
            }
        }
        _ => ("404 Not Found", ""),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}",
        content.len()
    )
}
