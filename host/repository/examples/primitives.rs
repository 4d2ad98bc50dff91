//! What the format alone asks for: the limit that the machine sets to a backup, a restore and a check. `cargo xtask bench` runs it beside Copal.
//!
//! `primitives first|unchanged|restore|check DATA WORK`: each byte read, cut, hashed, compressed, sealed and written, or the way back, and the
//! password stretched, on all cores. There are no listings, no metadata and no locks, the index is the plainest, and no blob is looked for in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use copal_repository::BlobId;
use copal_repository::chunker::Chunker;
use copal_repository::format::crypto::{Key, Secrets};
use copal_repository::format::key::{KeyFile, ScryptCost};
use copal_repository::format::polynomial::Polynomial;
use zstd::bulk::{Compressor, Decompressor};

const PASSWORD: &[u8] = b"a password for measuring";
/// restic's, by which it takes files apart.
const POLYNOMIAL: u64 = 0x3d_a335_8b4d_c173;
const PACK: usize = 16 << 20;
/// So much of a file is read at a time.
const READ: usize = 8 << 20;
/// Chunks that wait for a core.
const WAITING: usize = 4;
const LEVEL: i32 = 3;

/// Where what is in the packs belongs.
struct Index {
    compressed: bool,
    files: Vec<PathBuf>,
    packs: Vec<Vec<Blob>>,
}

struct Blob {
    id: [u8; 32],
    file: usize,
    /// Where it begins in the file.
    at: u64,
    length: usize,
    /// Bytes in the pack.
    sealed: usize,
}

impl Index {
    /// In as few instructions as can be: it is not what is measured.
    fn write(&self, path: &Path) {
        let mut bytes = vec![u8::from(self.compressed)];
        let number = |bytes: &mut Vec<u8>, number: usize| {
            bytes.extend_from_slice(&(number as u64).to_le_bytes());
        };
        number(&mut bytes, self.files.len());
        for file in &self.files {
            let file = file.as_os_str().as_bytes();
            number(&mut bytes, file.len());
            bytes.extend_from_slice(file);
        }
        for pack in &self.packs {
            number(&mut bytes, pack.len());
            for blob in pack {
                bytes.extend_from_slice(&blob.id);
                for value in [blob.file, blob.at as usize, blob.length, blob.sealed] {
                    number(&mut bytes, value);
                }
            }
        }
        fs::write(path, bytes).unwrap();
    }

    fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let compressed = take(&mut rest, 1) == [1];
        let files = (0..number(&mut rest)).map(|_| {
            let length = number(&mut rest);
            PathBuf::from(OsStr::from_bytes(take(&mut rest, length)))
        });
        let files = files.collect();
        let mut packs = Vec::new();
        while !rest.is_empty() {
            let blobs = (0..number(&mut rest)).map(|_| Blob {
                id: take(&mut rest, 32).try_into().unwrap(),
                file: number(&mut rest),
                at: number(&mut rest) as u64,
                length: number(&mut rest),
                sealed: number(&mut rest),
            });
            packs.push(blobs.collect());
        }
        Self {
            compressed,
            files,
            packs,
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, behind) = rest.split_at(length);
    *rest = behind;
    first
}

fn number(rest: &mut &[u8]) -> usize {
    u64::from_le_bytes(take(rest, 8).try_into().unwrap()) as usize
}

fn main() {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [operation, data, work] = &arguments[..] else {
        panic!("usage: primitives first|unchanged|restore|check DATA WORK");
    };
    let (data, work) = (Path::new(data), Path::new(work));
    let key = unlock(&work.join("key"));
    match operation.to_str().unwrap() {
        "first" => back_up(&key, data, work),
        "unchanged" => look(data),
        "restore" => read(&key, work, Some(&work.join("restored"))),
        "check" => read(&key, work, None),
        other => panic!("unknown operation {other}"),
    }
}

/// Stretches the password once, as every command does.
fn unlock(path: &Path) -> Key {
    if !path.exists() {
        let (cost, secrets) = (ScryptCost::DEFAULT, Secrets::random());
        let file = KeyFile::seal(&secrets, PASSWORD, cost, String::new(), String::new()).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.encode().unwrap()).unwrap();
        return Key::new(&secrets).unwrap();
    }
    let file = KeyFile::decode(&fs::read(path).unwrap()).unwrap();
    Key::new(&file.open(PASSWORD).unwrap().unwrap()).unwrap()
}

/// All files beneath a directory, by their paths from there.
fn files(data: &Path) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(data.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = directory.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => directories.push(path),
                false => files.push(path),
            }
        }
    }
    files
}

fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

/// Calls `work` with every number below `count`, on all cores.
fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && number < count
                {
                    work(number);
                }
            });
        }
    });
}

fn look(data: &Path) {
    let files = files(data);
    each(files.len(), |number| {
        fs::symlink_metadata(data.join(&files[number])).unwrap();
    });
}

/// A piece of a file on its way into a pack.
struct Piece {
    file: usize,
    at: u64,
    bytes: Vec<u8>,
}

fn back_up(key: &Key, data: &Path, work: &Path) {
    let files = files(data);
    let compressed = compresses(&data.join(&files[0]));
    let packs = Mutex::new(Vec::new());
    let chunker = Chunker::new(Polynomial::new(POLYNOMIAL).unwrap());
    // A file that is small is one thread's alone; of a large one, one cuts and the others seal.
    let (pieces, waiting) = mpsc::sync_channel::<Piece>(WAITING);
    let waiting = Mutex::new(waiting);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            let pieces = pieces.clone();
            let (files, next, packs, waiting) = (&files, &next, &packs, &waiting);
            let chunker = &chunker;
            scope.spawn(move || {
                let mut packer = Packer::new(key, work, packs, compressed);
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && let Some(path) = files.get(number)
                {
                    cut(chunker, &data.join(path), number, |piece| {
                        match pieces.try_send(piece) {
                            Ok(()) => {}
                            Err(mpsc::TrySendError::Full(piece)) => packer.add(&piece),
                            Err(mpsc::TrySendError::Disconnected(_)) => unreachable!(),
                        }
                    });
                }
                drop(pieces);
                while let Ok(piece) = { waiting.lock().unwrap().recv() } {
                    packer.add(&piece);
                }
                packer.flush();
            });
        }
        drop(pieces);
    });
    let packs = packs.into_inner().unwrap();
    let index = Index {
        compressed,
        files,
        packs,
    };
    index.write(&work.join("index"));
}

/// Whether what is like the beginning of this file becomes smaller.
fn compresses(path: &Path) -> bool {
    let mut beginning = Vec::new();
    let file = File::open(path).unwrap();
    file.take(64 << 10).read_to_end(&mut beginning).unwrap();
    zstd::bulk::compress(&beginning, LEVEL).unwrap().len() < beginning.len()
}

/// Cuts a file as restic does.
fn cut(chunker: &Chunker, path: &Path, file: usize, mut piece: impl FnMut(Piece)) {
    let mut splitter = chunker.splitter();
    let mut source = File::open(path).unwrap();
    let mut bytes = Vec::new();
    let (mut before, mut begin, mut looked) = (0, 0, 0);
    loop {
        let read = (&mut source)
            .take(READ as u64)
            .read_to_end(&mut bytes)
            .unwrap();
        let last = read < READ;
        let mut give = |begin: usize, end: usize| {
            piece(Piece {
                file,
                at: before + begin as u64,
                bytes: bytes[begin..end].to_vec(),
            });
        };
        while let Some(cut) = splitter.next(&bytes[looked..]) {
            looked += cut;
            give(begin, looked);
            begin = looked;
        }
        if last {
            if begin < bytes.len() {
                give(begin, bytes.len());
            }
            return;
        }
        bytes.drain(..begin);
        before += begin as u64;
        (begin, looked) = (0, bytes.len());
    }
}

/// Fills packs and writes them.
struct Packer<'a> {
    key: &'a Key,
    work: &'a Path,
    packs: &'a Mutex<Vec<Vec<Blob>>>,
    compressor: Option<Compressor<'static>>,
    pack: Vec<u8>,
    blobs: Vec<Blob>,
}

impl<'a> Packer<'a> {
    fn new(
        key: &'a Key,
        work: &'a Path,
        packs: &'a Mutex<Vec<Vec<Blob>>>,
        compressed: bool,
    ) -> Self {
        Self {
            key,
            work,
            packs,
            compressor: compressed.then(|| Compressor::new(LEVEL).unwrap()),
            pack: Vec::with_capacity(PACK + READ),
            blobs: Vec::new(),
        }
    }

    fn add(&mut self, piece: &Piece) {
        let before = self.pack.len();
        let id = BlobId::of(&piece.bytes).0;
        let compressor = self.compressor.as_mut();
        let compressed = compressor.map(|compressor| compressor.compress(&piece.bytes).unwrap());
        let plain = compressed.as_ref().unwrap_or(&piece.bytes);
        self.key.seal(plain, &mut self.pack).unwrap();
        self.blobs.push(Blob {
            id,
            file: piece.file,
            at: piece.at,
            length: piece.bytes.len(),
            sealed: self.pack.len() - before,
        });
        if self.pack.len() >= PACK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // A pack is called by what it holds.
        let _name = BlobId::of(&self.pack);
        let number = {
            let mut packs = self.packs.lock().unwrap();
            packs.push(std::mem::take(&mut self.blobs));
            packs.len() - 1
        };
        fs::write(self.work.join(format!("pack-{number}")), &self.pack).unwrap();
        self.pack.clear();
    }
}

/// Reads all packs, and writes the files that they hold, or checks that all is as it was.
fn read(key: &Key, work: &Path, target: Option<&Path>) {
    let index = Index::read(&work.join("index"));
    if let Some(target) = target {
        let directories: std::collections::BTreeSet<_> = index
            .files
            .iter()
            .filter_map(|file| file.parent())
            .collect();
        for directory in directories {
            fs::create_dir_all(target.join(directory)).unwrap();
        }
        // What holds nothing is in no pack.
        let mut empty = vec![true; index.files.len()];
        for blob in index.packs.iter().flatten() {
            empty[blob.file] = false;
        }
        for (file, _) in index.files.iter().zip(empty).filter(|(_, empty)| *empty) {
            fs::write(target.join(file), []).unwrap();
        }
    }
    each(index.packs.len(), |number| {
        let sealed = fs::read(work.join(format!("pack-{number}"))).unwrap();
        if target.is_none() {
            let _name = BlobId::of(&sealed);
        }
        let mut decompressor = index.compressed.then(|| Decompressor::new().unwrap());
        let mut open: Option<(usize, File)> = None;
        let mut rest = &sealed[..];
        for blob in &index.packs[number] {
            let (first, behind) = rest.split_at(blob.sealed);
            rest = behind;
            let mut bytes = key.open(first).unwrap();
            if let Some(decompressor) = &mut decompressor {
                bytes = decompressor.decompress(&bytes, blob.length).unwrap();
            }
            assert!(BlobId::of(&bytes).0 == blob.id, "a blob is not what it was");
            if let Some(target) = target {
                let file = match open.take() {
                    Some((number, file)) if number == blob.file => file,
                    _ => {
                        let path = target.join(&index.files[blob.file]);
                        File::options()
                            .create(true)
                            .write(true)
                            .truncate(false)
                            .open(path)
                            .unwrap()
                    }
                };
                file.write_all_at(&bytes, blob.at).unwrap();
                open = Some((blob.file, file));
            }
        }
    });
}
