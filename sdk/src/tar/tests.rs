use std::io::{Read, Write};

use proptest::prelude::*;

use super::*;
use crate::testing::filter_all_chunkings;
use crate::{Failure, Filter};

/// What a test puts into an archive.
#[derive(Clone, Debug)]
struct Item {
    path: String,
    content: Vec<u8>,
    mode: u32,
    uid: u64,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gnu,
    Ustar,
    Pax,
}

impl Item {
    fn new(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            content: content.into(),
            mode: 0o600,
            uid: 0,
            format: Format::Gnu,
        }
    }
}

/// An archive as the crate `tar` writes it.
fn archive(items: &[Item]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for item in items {
        let mut header = match item.format {
            Format::Gnu => ::tar::Header::new_gnu(),
            Format::Ustar | Format::Pax => ::tar::Header::new_ustar(),
        };
        header.set_size(item.content.len() as u64);
        header.set_mode(item.mode);
        header.set_uid(item.uid);
        header.set_gid(1000);
        header.set_username("root").unwrap();
        header.set_groupname("root").unwrap();
        if item.format == Format::Pax {
            let uid = item.uid.to_string();
            let records = [
                ("uid", uid.as_bytes()),
                ("path", item.path.as_bytes()),
                ("uname", b"somebody"),
                ("comment", b"kept"),
            ];
            builder.append_pax_extensions(records).unwrap();
            header.set_path("short").unwrap();
            header.set_cksum();
            builder.append(&header, &item.content[..]).unwrap();
        } else {
            builder
                .append_data(&mut header, &item.path, &item.content[..])
                .unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// What a reader tells, whatever the chunks.
#[derive(Debug, PartialEq, Eq, Default)]
struct Seen {
    members: Vec<(Member, Vec<u8>)>,
    raw: Vec<u8>,
    ended: usize,
}

fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<Seen, Failure> {
    let mut reader = Reader::new();
    let mut seen = Seen::default();
    for mut chunk in chunks {
        while let Some(event) = reader.next(&mut chunk)? {
            match event {
                Event::Member(member) => {
                    assert_eq!(member.offset, seen.raw.len() as u64);
                    seen.raw.extend_from_slice(member.headers());
                    assert_eq!(member.content_offset(), seen.raw.len() as u64);
                    seen.members.push((*member, Vec::new()));
                }
                Event::Data(data) => {
                    assert!(!data.is_empty());
                    seen.raw.extend_from_slice(data);
                    seen.members.last_mut().unwrap().1.extend_from_slice(data);
                }
                Event::End => seen.ended += 1,
                Event::Padding(bytes) | Event::Trailer(bytes) => seen.raw.extend_from_slice(bytes),
            }
        }
        assert!(chunk.is_empty());
    }
    reader.finish()?;
    Ok(seen)
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let formats = prop_oneof![Just(Format::Gnu), Just(Format::Ustar), Just(Format::Pax)];
    let path = prop_oneof!["[a-z]{1,9}(/[a-z]{1,9}){0,3}", "[a-z]{101,130}/[a-z]{80}"];
    let content = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..600),
        (0_usize..3).prop_map(|blocks| vec![7; blocks * BLOCK]),
    ];
    let item = (path, content, formats, 0_u32..0o10000, 0_u64..0o7777777);
    let item = item.prop_map(|(path, content, format, mode, uid)| Item {
        path,
        content,
        mode,
        uid,
        // A path of so many bytes fits no header of ustar.
        format: if format == Format::Ustar {
            Format::Gnu
        } else {
            format
        },
    });
    proptest::collection::vec(item, 0..5)
}

fn owner() -> Change {
    Change {
        uid: Some(998),
        gid: Some(999),
        user: Some("git".to_owned()),
        group: Some("git".to_owned()),
        ..Change::default()
    }
}

fn to_owner(_member: &Member) -> Result<Treatment, Failure> {
    Ok(Treatment {
        change: owner(),
        content: None,
    })
}

fn rewrite(mut filter: impl Filter, input: &[u8], size: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    for chunk in input.chunks(size) {
        filter.push(chunk, &mut out)?;
    }
    filter.finish(&mut out)?;
    Ok(out)
}

proptest! {
    #[test]
    fn every_archive_is_read_as_it_was_written_however_it_is_cut(items in items(), size in 1_usize..2000) {
        let bytes = archive(&items);
        let whole = read([&bytes[..]].into_iter()).unwrap();
        prop_assert_eq!(&whole.raw, &bytes);
        prop_assert_eq!(whole.ended, items.len());
        for ((member, content), item) in whole.members.iter().zip(&items) {
            prop_assert_eq!(&member.path, item.path.as_bytes());
            prop_assert_eq!(content, &item.content);
            prop_assert_eq!((member.mode, member.uid, member.gid), (item.mode, item.uid, 1000));
        }
        prop_assert_eq!(whole.members.len(), items.len());
        prop_assert_eq!(read(bytes.chunks(size)).unwrap(), whole);
    }

    #[test]
    fn a_rewritten_archive_has_the_new_owner_and_is_the_same_else(items in items(), size in 1_usize..2000) {
        let bytes = archive(&items);
        let rewritten = rewrite(Rewriter::new(to_owner), &bytes, size).unwrap();
        let seen = read([&rewritten[..]].into_iter()).unwrap();
        for ((member, content), item) in seen.members.iter().zip(&items) {
            prop_assert_eq!(&member.path, item.path.as_bytes());
            prop_assert_eq!(content, &item.content);
            prop_assert_eq!((member.uid, member.gid, member.mode), (998, 999, item.mode));
            prop_assert_eq!((&member.user[..], &member.group[..]), (&b"git"[..], &b"git"[..]));
        }
        // Another program reads the same.
        let mut others = ::tar::Archive::new(&rewritten[..]);
        for (entry, item) in others.entries().unwrap().zip(&items) {
            let mut entry = entry.unwrap();
            prop_assert_eq!(entry.path_bytes().into_owned(), item.path.as_bytes());
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            prop_assert_eq!(&content, &item.content);
        }
        // Back to what they were, nothing is lost, unless they were not all the same.
        let back = Rewriter::new(|member: &Member| {
            let item = items.iter().find(|item| item.path.as_bytes() == member.path).unwrap();
            Ok(Treatment {
                change: Change {
                    uid: Some(item.uid),
                    gid: Some(1000),
                    user: Some(if item.format == Format::Pax { "somebody" } else { "root" }.to_owned()),
                    group: Some("root".to_owned()),
                    ..Change::default()
                },
                content: None,
            })
        });
        let mut paths: Vec<&str> = items.iter().map(|item| item.path.as_str()).collect();
        paths.dedup();
        if paths.len() == items.len() {
            let again = rewrite(back, &rewritten, 4096).unwrap();
            let again = read([&again[..]].into_iter()).unwrap();
            let before = read([&bytes[..]].into_iter()).unwrap();
            for ((member, _), (original, _)) in again.members.iter().zip(&before.members) {
                prop_assert_eq!((member.uid, &member.user), (original.uid, &original.user));
            }
        }
    }

    #[test]
    fn a_cut_off_archive_is_an_error_wherever_it_is_cut(items in items(), cut: prop::sample::Index) {
        let bytes = archive(&items);
        let cut = cut.index(bytes.len());
        let failure = read([&bytes[..cut]].into_iter()).unwrap_err();
        prop_assert_eq!(failure.code, "sdk.tar.truncated");
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_more_than_headers(bytes: Vec<u8>, at: prop::sample::Index, items in items()) {
        let _ = read([&bytes[..]].into_iter());
        let mut mixed = archive(&items);
        let at = at.index(mixed.len());
        let end = mixed.len().min(at + bytes.len());
        mixed[at..end].copy_from_slice(&bytes[..end - at]);
        let _ = read(mixed.chunks(97));
        let _ = rewrite(Rewriter::new(to_owner), &mixed, 512);
        let _ = rewrite(Gunzip::new(Rewriter::new(to_owner)), &bytes, 100);
    }

    #[test]
    fn compressing_gives_the_same_bytes_however_it_is_cut(content in proptest::collection::vec(0_u8..4, 0..300_000), size in 1_usize..100_000) {
        let compressed = rewrite(Gzip::new(Same), &content, usize::MAX).unwrap();
        prop_assert_eq!(&rewrite(Gzip::new(Same), &content, size).unwrap(), &compressed);
        prop_assert_eq!(rewrite(Gunzip::new(Same), &compressed, size).unwrap(), content);
    }

    #[test]
    fn a_damaged_or_cut_off_gzip_is_an_error(content: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
        let whole = gzip(&content);
        let cut = &whole[..at.index(whole.len())];
        prop_assert!(rewrite(Gunzip::new(Same), cut, 7).is_err());
        // Behind the header, whose time and system no checksum covers.
        let mut damaged = whole.clone();
        let at = 10 + at.index(whole.len() - 10);
        damaged[at] ^= 1 << bit;
        prop_assert!(rewrite(Gunzip::new(Same), &damaged, 7).map_or(true, |read| read == content));
        let trailer = whole.len() - 8;
        if at >= trailer {
            prop_assert!(rewrite(Gunzip::new(Same), &damaged, 7).is_err());
        }
    }
}

/// Hands on what it is given.
struct Same;

impl Filter for Same {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend_from_slice(chunk);
        Ok(())
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut content)
        .unwrap();
    content
}

/// An archive within a compressed archive within an archive.
fn nested() -> (Vec<u8>, Vec<u8>) {
    let inner = archive(&[Item::new("./a", vec![b'x'; 3000]), Item::new("./b", "y")]);
    let items = [
        Item::new("first", "1"),
        Item::new("inner.tar.gz", gzip(&inner)),
        Item::new("last", vec![9; 700]),
    ];
    (archive(&items), inner)
}

/// The new content of a nested archive.
fn inner_filter() -> Box<dyn Filter> {
    Box::new(Gunzip::new(Gzip::new(Rewriter::new(to_owner))))
}

#[test]
fn a_nested_compressed_archive_is_rewritten_to_the_size_that_was_measured() {
    let (bytes, inner) = nested();
    let seen = read([&bytes[..]].into_iter()).unwrap();
    let content = &seen.members[1].1;
    let mut measured = Vec::new();
    let mut filter = inner_filter();
    filter.push(content, &mut measured).unwrap();
    filter.finish(&mut measured).unwrap();

    let rewriter = |size: u64| {
        move || -> Box<dyn Filter> {
            Box::new(Rewriter::new(move |member: &Member| {
                let nested = member.path.ends_with(b".tar.gz");
                Ok(Treatment {
                    change: Change {
                        size: nested.then_some(size),
                        ..owner()
                    },
                    content: nested.then(inner_filter),
                })
            }))
        }
    };
    let size = measured.len() as u64;
    let out = filter_all_chunkings(rewriter(size), &bytes).unwrap();
    let seen = read([&out[..]].into_iter()).unwrap();
    assert_eq!(
        seen.members
            .iter()
            .map(|(member, _)| &member.path[..])
            .collect::<Vec<_>>(),
        [&b"first"[..], b"inner.tar.gz", b"last"]
    );
    assert_eq!(seen.members[2].1, [9; 700]);
    let rewritten = gunzip(&seen.members[1].1);
    assert_eq!(rewritten.len(), inner.len());
    for (member, _) in read([&rewritten[..]].into_iter()).unwrap().members {
        assert_eq!((member.uid, &member.user[..]), (998, &b"git"[..]));
    }
    for wrong in [size - 1, size + 1] {
        let failure = filter_all_chunkings(rewriter(wrong), &bytes).unwrap_err();
        assert_eq!(failure.code, "sdk.tar.size");
    }
}

#[test]
fn a_failure_in_a_nested_archive_names_the_member() {
    let items = [Item::new("inner.tar.gz", gzip(b"no archive at all"))];
    let rewriter = Rewriter::new(|_: &Member| {
        Ok(Treatment {
            change: Change::default(),
            content: Some(inner_filter()),
        })
    });
    let failure = rewrite(rewriter, &archive(&items), 100).unwrap_err();
    assert!(
        failure
            .message
            .starts_with("inner.tar.gz: the archive is cut off"),
        "{failure}"
    );
}

#[test]
fn binary_numbers_and_sizes_beyond_eight_gigabytes_are_read() {
    let mut header = ::tar::Header::new_gnu();
    header.set_path("large").unwrap();
    header.set_size(1 << 40);
    header.set_mode(0o600);
    header.set_uid(1 << 31);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    let mut reader = Reader::new();
    let bytes = *header.as_bytes();
    let mut chunk = &bytes[..];
    let Some(Event::Member(member)) = reader.next(&mut chunk).unwrap() else {
        panic!("a member");
    };
    assert_eq!((member.size, member.uid), (1 << 40, 1 << 31));
    assert_eq!(reader.skip(), 1 << 40);
    assert_eq!(reader.position(), (1 << 40) + 512);
    assert_eq!(reader.next(&mut chunk).unwrap(), None);

    let change = Change {
        size: Some(9 << 30),
        uid: Some(5),
        ..Change::default()
    };
    let block: [u8; BLOCK] = member.changed(&change).unwrap().try_into().unwrap();
    let header = ::tar::Header::from_byte_slice(&block);
    assert_eq!(header.size().unwrap(), 9 << 30);
    assert_eq!(header.uid().unwrap(), 5);
}

#[test]
fn a_change_of_nothing_changes_no_byte() {
    let bytes = archive(&[
        Item::new("a", "b"),
        Item {
            format: Format::Pax,
            ..Item::new("c", "d")
        },
    ]);
    for (member, _) in read([&bytes[..]].into_iter()).unwrap().members {
        let change = Change {
            uid: Some(member.uid),
            gid: Some(member.gid),
            user: Some(String::from_utf8(member.user.clone()).unwrap()),
            mode: Some(member.mode),
            size: Some(member.size),
            group: None,
        };
        assert_eq!(member.changed(&change).unwrap(), member.headers());
    }
}

#[test]
fn what_one_members_header_cannot_change_is_refused() {
    let mut bytes = archive(&[Item {
        format: Format::Pax,
        ..Item::new("a", "b")
    }]);
    bytes[156] = b'g';
    let block: &mut [u8; BLOCK] = bytes.first_chunk_mut().unwrap();
    header::set_checksum(block);
    let failure = rewrite(Rewriter::new(to_owner), &bytes, 512).unwrap_err();
    assert_eq!(failure.code, "sdk.tar.global");
    let long = Rewriter::new(|_: &Member| {
        Ok(Treatment {
            change: Change {
                user: Some("a".repeat(32)),
                ..Change::default()
            },
            content: None,
        })
    });
    let failure = rewrite(long, &archive(&[Item::new("a", "b")]), 512).unwrap_err();
    assert_eq!(failure.code, "sdk.tar.value");
}

#[test]
fn hostile_headers_are_refused() {
    let mut header = ::tar::Header::new_gnu();
    header.set_path("x").unwrap();
    header.set_entry_type(::tar::EntryType::XHeader);
    header.set_size(u64::MAX >> 1);
    header.set_cksum();
    let failure = read([&header.as_bytes()[..]].into_iter()).unwrap_err();
    assert_eq!(failure.code, "sdk.tar.headers");

    header.set_entry_type(::tar::EntryType::Regular);
    header.set_size(u64::MAX);
    header.set_cksum();
    let failure = read([&header.as_bytes()[..]].into_iter()).unwrap_err();
    assert_eq!(failure.code, "sdk.tar.damaged");

    let mut bytes = archive(&[Item::new("a", "b")]);
    bytes[0] ^= 1;
    let failure = read([&bytes[..]].into_iter()).unwrap_err();
    assert_eq!(
        failure.message,
        "what should be a header at byte 0 has a wrong checksum"
    );

    let lone = [vec![0; 512], vec![1; 512]].concat();
    let failure = read([&lone[..]].into_iter()).unwrap_err();
    assert!(failure.message.contains("goes on at byte 512"), "{failure}");
}

#[test]
fn a_file_that_grows_beyond_what_may_be_returned_is_refused() {
    let bomb = gzip(&vec![0; 64 << 20]);
    for size in [777, bomb.len()] {
        let (mut filter, mut out) = (Gunzip::new(Same), Vec::new());
        let pushed = bomb
            .chunks(size)
            .try_for_each(|chunk| filter.push(chunk, &mut out));
        let failure = pushed.and_then(|()| filter.finish(&mut out)).unwrap_err();
        assert_eq!(failure.code, "sdk.gzip.expands");
        assert!(out.len() <= 16 << 20);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Noise takes its own length and zeros next to nothing, so this is about the limit in a piece that begins anywhere.
    #[test]
    fn whether_a_file_grows_too_much_does_not_depend_on_how_it_is_cut(noise in 0_usize..2_000_000, zeros in 8_usize << 20..16 << 20, size in 1_usize..1 << 20) {
        let mut state = 1_u64;
        let mut content: Vec<u8> = (0..noise)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        content.resize(noise + zeros, 0);
        let compressed = gzip(&content);
        let code = |size| rewrite(Gunzip::new(Same), &compressed, size).map_err(|failure| failure.code);
        let whole = code(usize::MAX);
        prop_assert_eq!(code(size) == whole, true);
        if noise == 0 {
            prop_assert_eq!(whole.is_ok(), zeros <= 12 << 20);
        }
    }
}

#[test]
fn several_gzip_files_in_a_row_are_one() {
    let both = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(rewrite(Gunzip::new(Same), &both, 3).unwrap(), b"one two");
    let failure = rewrite(Gunzip::new(Same), b"", 1).unwrap_err();
    assert_eq!(failure.code, "sdk.gzip.damaged");
}
