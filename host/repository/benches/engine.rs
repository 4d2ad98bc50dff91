//! What the engine's inner loops get through on one core. `cargo xtask bench engine` runs it.
#![allow(
    missing_docs,
    reason = "the macro that lists the groups makes one public"
)]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::Duration;

use copal_repository::chunker::Chunker;
use copal_repository::format::crypto::{Key, Secrets};
use copal_repository::format::key::ScryptCost;
use copal_repository::format::pack::{self, HeaderEntry};
use copal_repository::format::polynomial::Polynomial;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::format::{BlobKind, Timestamp};
use copal_repository::{BlobId, InitOptions, Password, Repository, WriterOptions};
use copal_tests::sample::noise;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

criterion_group! {
    name = engine;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = chunker, blobs, packs, indexes, trees
}
criterion_main!(engine);

/// Bytes of a blob of the size that files are cut into on average.
const BLOB: usize = 1 << 20;

/// An empty repository in memory.
fn repository(runtime: &Runtime) -> Repository {
    let options = InitOptions {
        scrypt: ScryptCost {
            log_n: 4,
            r: 8,
            p: 1,
        },
        polynomial: None,
    };
    let store = copal_storage::open("memory:").unwrap();
    let handle = runtime.handle().clone();
    Repository::init(store, handle, &Password::new("password"), &options).unwrap()
}

fn chunker(criterion: &mut Criterion) {
    let data = noise(1, 64 * BLOB);
    let chunker = Chunker::new(Polynomial::new(0x3d_a335_8b4d_c173).unwrap());
    let mut group = criterion.benchmark_group("chunker");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("cut", |bencher| {
        bencher.iter(|| {
            let (mut splitter, mut rest, mut cuts) = (chunker.splitter(), &data[..], 0);
            while let Some(cut) = splitter.next(rest) {
                rest = &rest[cut..];
                cuts += 1;
            }
            cuts
        });
    });
}

fn blobs(criterion: &mut Criterion) {
    let data = noise(2, BLOB);
    let key = Key::new(&Secrets::random()).unwrap();
    let mut sealed = Vec::new();
    key.seal(&data, &mut sealed).unwrap();
    let mut group = criterion.benchmark_group("blob");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("hash", |bencher| {
        bencher.iter(|| BlobId::of(black_box(&data)));
    });
    group.bench_function("open", |bencher| {
        bencher.iter(|| key.open(black_box(&sealed)).unwrap());
    });
    group.bench_function("seal", |bencher| {
        bencher.iter(|| {
            sealed.clear();
            key.seal(black_box(&data), &mut sealed).unwrap();
        });
    });
}

/// Blobs that are new are hashed, compressed as far as they can be, sealed and packed; by one thread, into memory.
fn packs(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let data = noise(3, 32 * BLOB);
    let entry = |number: u64| HeaderEntry {
        kind: BlobKind::Data,
        id: BlobId::of(&number.to_le_bytes()),
        length: 1000,
        uncompressed_length: Some(2000),
    };
    let entries: Vec<_> = (0..1000).map(entry).collect();
    let header = pack::encode_header(&entries);
    let mut group = criterion.benchmark_group("pack");
    group.throughput(Throughput::Elements(entries.len() as u64));
    group.bench_function("decode header", |bencher| {
        bencher.iter(|| pack::decode_header(black_box(&header)).unwrap());
    });
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("store", |bencher| {
        let fresh = || {
            let repository = repository(&runtime);
            let writer = repository.writer(WriterOptions::default()).unwrap();
            (repository, writer)
        };
        let store = |(repository, writer): (Repository, copal_repository::BlobWriter)| {
            for blob in data.chunks(BLOB) {
                writer.store(BlobKind::Data, blob).unwrap();
            }
            (repository, writer.finish().unwrap())
        };
        bencher.iter_batched(fresh, store, BatchSize::PerIteration);
    });
}

fn indexes(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let repository = repository(&runtime);
    let writer = repository.writer(WriterOptions::default()).unwrap();
    let store = |number: u64| {
        let stored = writer.store(BlobKind::Data, &number.to_le_bytes());
        stored.unwrap().id
    };
    let ids: Vec<_> = (0..100_000).map(store).collect();
    writer.finish().unwrap();
    let mut group = criterion.benchmark_group("index");
    group.throughput(Throughput::Elements(ids.len() as u64));
    group.bench_function("load", |bencher| {
        bencher.iter(|| repository.reload_index().unwrap());
    });
    group.bench_function("find", |bencher| {
        bencher.iter(|| {
            let found = ids.iter().filter(|id| {
                let found = repository.locate(BlobKind::Data, id);
                found.unwrap().is_some()
            });
            assert_eq!(found.count(), ids.len());
        });
    });
}

/// A directory of a thousand files as they are.
fn trees(criterion: &mut Criterion) {
    let node = |number: u32| Node {
        mode: 0o644,
        modified: Timestamp::utc(1_700_000_000 + i64::from(number), 123_456_789),
        accessed: Timestamp::utc(1_700_000_000 + i64::from(number), 123_456_789),
        changed: Timestamp::utc(1_700_000_001, 987_654_321),
        uid: 1000,
        gid: 1000,
        user: "someone".into(),
        group: "someone".into(),
        inode: 1_000_000 + u64::from(number),
        device_id: 65_024,
        size: 12_345,
        links: 1,
        content: vec![BlobId::of(&number.to_le_bytes())],
        ..Node::new(format!("file-{number:04}.txt"), NodeKind::File)
    };
    let nodes: Vec<_> = (0..1000).map(node).collect();
    let count = nodes.len() as u64;
    let tree = Tree { nodes };
    let json = tree.encode();
    let mut group = criterion.benchmark_group("tree");
    group.throughput(Throughput::Elements(count));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(&tree).encode());
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Tree::decode(black_box(&json)).unwrap());
    });
}
