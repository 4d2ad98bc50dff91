//! H2 databases, made and read with Java and Debian's H2 2.1.214.

use std::path::{Path, PathBuf};

use crate::programs;
use crate::run::{Program, Running};

/// Debian's package `libh2-java`.
const JAR: &str = "/usr/share/java/h2.jar";

/// Java with the H2 jar.
#[derive(Debug, Clone)]
pub struct H2 {
    java: PathBuf,
}

/// A database: the path of its `.mv.db` file without that ending.
#[derive(Debug, Clone)]
pub struct Database {
    h2: H2,
    path: PathBuf,
}

impl H2 {
    /// Java and H2, or none where one is not installed.
    pub fn find() -> Option<Self> {
        let java = programs::require("java", "default-jre-headless")?;
        if !Path::new(JAR).is_file() {
            programs::missing(&format!("there is no {JAR} (Debian package libh2-java)"));
            return None;
        }
        Some(Self { java })
    }

    /// The jar.
    pub fn jar(&self) -> &'static str {
        JAR
    }

    /// The database whose file is `path` with `.mv.db` behind it, as Jpom opens it.
    pub fn database(&self, path: &Path) -> Database {
        Database {
            h2: self.clone(),
            path: path.to_owned(),
        }
    }
}

impl Database {
    /// Runs SQL, making the database where there is none, and closes it cleanly.
    pub fn run(&self, sql: &str) {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script.sql");
        std::fs::write(&script, sql).unwrap();
        self.tool("RunScript", "")
            .arg("-script")
            .arg(script)
            .run()
            .succeeds();
    }

    /// The first column of a query's rows, the database left untouched.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<String> {
        let outcome = self
            .tool("Shell", ";ACCESS_MODE_DATA=r")
            .arg("-sql")
            .arg(sql)
            .run()
            .succeeds();
        let text = outcome.text();
        let lines: Vec<_> = text.lines().collect();
        match lines.as_slice() {
            [_heading, rows @ .., count] if count.starts_with('(') => {
                rows.iter().map(|row| row.trim_end().to_owned()).collect()
            }
            _ => panic!("{sql}: {text}\n{}", outcome.stderr),
        }
    }

    /// Opens the database in a process that holds it until dropped, and runs SQL in it.
    pub fn hold_open(&self, sql: &str) -> Running {
        let mut shell = self.tool("Shell", "").start();
        shell.send(sql.as_bytes());
        shell.send(b";\nSELECT 1;\n");
        // A header without the mark of a clean close says that the database is open and has been written to.
        let file = self.file();
        for _ in 0..400 {
            if std::fs::read(&file).is_ok_and(|bytes| !bytes.is_empty() && !has_clean_mark(&bytes))
            {
                return shell;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{} never opened: {:?}", file.display(), shell.wait());
    }

    /// Rewrites the header so that the file seems to be of another format: 1 for H2 1.4, 3 for H2 2.2.
    pub fn pretend_format(&self, format: u8) {
        const HEADERS: [usize; 2] = [0, 4096];
        const LABEL: &str = ",fletcher:";
        let mut bytes = std::fs::read(self.file()).unwrap();
        for start in HEADERS {
            let header = String::from_utf8_lossy(&bytes[start..start + 256]).into_owned();
            let text = header
                .split(LABEL)
                .next()
                .unwrap()
                .replace(",format:2", &format!(",format:{format}"));
            let line = format!("{text}{LABEL}{:x}\n", fletcher32(text.as_bytes()));
            bytes[start..start + 256].fill(b' ');
            bytes[start..start + line.len()].copy_from_slice(line.as_bytes());
        }
        std::fs::write(self.file(), bytes).unwrap();
    }

    /// The database's file.
    pub fn file(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".mv.db");
        path.into()
    }

    fn tool(&self, class: &str, options: &str) -> Program {
        let url = format!("jdbc:h2:{};MODE=MYSQL{options}", self.path.display());
        Program::new(&self.h2.java)
            .args([
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Dfile.encoding=UTF-8",
                "-cp",
                JAR,
            ])
            .arg(format!("org.h2.tools.{class}"))
            .args(["-url", &url, "-user", "jpom", "-password", "jpom"])
            .env("LANG", "C.UTF-8")
    }
}

fn has_clean_mark(bytes: &[u8]) -> bool {
    let header = &bytes[..bytes.len().min(256)];
    header.windows(8).any(|window| window == b",clean:1")
}

/// H2's checksum of a header that is shorter than 720 bytes: 16-bit words, the high byte first, both sums from 0xffff on.
fn fletcher32(bytes: &[u8]) -> u32 {
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let (first, second) = words.fold((0xffff, 0xffff), |(first, second), word| {
        (first + word, second + first + word)
    });
    fold(fold(second)) << 16 | fold(fold(first))
}
