//! The data that tools are measured with: the same bytes on every machine.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

const MIB: usize = 1 << 20;

/// A directory to back up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corpus {
    /// One dump of a database, 442 MiB of SQL.
    Sql,
    /// 60,000 files of 200 to 6,000 incompressible bytes in 600 directories.
    Small,
    /// One file of 1 GiB that can't be compressed.
    Big,
    /// A million files of 0 to 4,000 incompressible bytes in 10,100 directories.
    Million,
}

impl Corpus {
    pub(crate) const ALL: [Self; 4] = [Self::Sql, Self::Small, Self::Big, Self::Million];
    /// Those that are measured where none is named: the others take hours.
    pub(crate) const USUAL: [Self; 3] = [Self::Sql, Self::Small, Self::Big];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Small => "small",
            Self::Big => "big",
            Self::Million => "million",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Sql => "a dump of a database, 442 MiB of SQL in one file",
            Self::Small => "60,000 files of 200 to 6,000 bytes that can't be compressed",
            Self::Big => "one file of 1 GiB that can't be compressed",
            Self::Million => "a million files of 0 to 4,000 bytes that can't be compressed",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|corpus| corpus.name() == name)
            .with_context(|| format!("there is no corpus `{name}`: sql, small, big, million"))
    }

    /// Makes the corpus beneath `parent`, where it is not there yet.
    pub(crate) fn make(self, parent: &Path) -> Result<PathBuf> {
        let directory = parent.join(self.name());
        if directory.exists() {
            return Ok(directory);
        }
        let beside = parent.join(format!("{}.new", self.name()));
        if beside.exists() {
            fs::remove_dir_all(&beside)?;
        }
        fs::create_dir_all(&beside)?;
        match self {
            Self::Sql => sql(&beside.join("dump.sql"), 442 * MIB)?,
            Self::Small => files(&beside, 2, 600, 200..=6_000)?,
            Self::Million => {
                for part in 0..100 {
                    let directory = beside.join(format!("{part:02}"));
                    fs::create_dir(&directory)?;
                    files(&directory, 4 + part, 100, 0..=4_000)?;
                }
            }
            Self::Big => big(&beside.join("big.bin"))?,
        }
        fs::rename(&beside, &directory)?;
        Ok(directory)
    }
}

/// Rows as a platform's database has them: running numbers, identifiers without any pattern, a few words, times.
fn sql(path: &Path, length: usize) -> Result<()> {
    const STATES: [&str; 4] = ["STARTED", "STOPPED", "CRASHED", "STAGED"];
    const WORDS: [&str; 8] = [
        "billing", "frontend", "mailer", "session", "worker", "archive", "gateway", "report",
    ];
    let mut random = Random(1);
    let mut file = BufWriter::with_capacity(MIB, File::create(path)?);
    let mut written = 0;
    let mut row = 0_u64;
    while written < length {
        row += 1;
        let number = random.next();
        let pick =
            |words: &[&'static str], shift: u32| words[(number >> shift) as usize % words.len()];
        let line = format!(
            "INSERT INTO processes (id, guid, app_guid, name, state, memory, instances, created_at, environment) VALUES \
             ({row}, '{:016x}{:016x}', '{:016x}', '{}-{}-{}', '{}', {}, {}, '2024-{:02}-{:02} {:02}:{:02}:{:02}', \
             '{{\"SPRING_PROFILES_ACTIVE\":\"{}\",\"JAVA_OPTS\":\"-Xss512k -Xmx{}m\"}}');\n",
            random.next(),
            random.next(),
            random.next(),
            pick(&WORDS, 0),
            pick(&WORDS, 8),
            number % 977,
            pick(&STATES, 16),
            256 << (number >> 20 & 3),
            1 + (number >> 24 & 7),
            1 + (number >> 28) % 12,
            1 + (number >> 32) % 28,
            (number >> 37) % 24,
            (number >> 42) % 60,
            (number >> 48) % 60,
            pick(&WORDS, 54),
            128 << (number >> 58 & 3),
        );
        file.write_all(line.as_bytes())?;
        written += line.len();
    }
    Ok(file.flush()?)
}

/// Directories of 100 files each, of random lengths.
fn files(
    directory: &Path,
    seed: u64,
    directories: usize,
    lengths: RangeInclusive<usize>,
) -> Result<()> {
    let mut random = Random(seed);
    let mut bytes = vec![0; *lengths.end()];
    let choices = lengths.end() - lengths.start() + 1;
    for part in 0..directories {
        let directory = directory.join(format!("{part:03}"));
        fs::create_dir(&directory)?;
        for file in 0..100 {
            let length = lengths.start() + random.next() as usize % choices;
            random.fill(&mut bytes[..length]);
            fs::write(directory.join(format!("{file:02}.bin")), &bytes[..length])?;
        }
    }
    Ok(())
}

fn big(path: &Path) -> Result<()> {
    let mut random = Random(3);
    let mut file = File::create(path)?;
    let mut bytes = vec![0; MIB];
    for _ in 0..1024 {
        random.fill(&mut bytes);
        file.write_all(&bytes)?;
    }
    Ok(())
}

/// SplitMix64 (Steele, Lea and Flood, 2014): short, and good enough that no compressor finds a pattern.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}
