//! Release archives: a plain tar of a release's files.

use std::io::{self, Read};
use std::path::{Component, Path};

use bytes::Bytes;
use copal_trust::{Bundle, COMPONENT};
use tar::{Archive, EntryType, Header};

use crate::Error;
use crate::folder::{Links, failed, read_file, save};
use crate::gather::Gathered;
use crate::web::first_words;

/// Bytes of an archive: the largest component, the documents, and what tar adds.
pub(crate) fn max_size() -> usize {
    Bundle::limit(COMPONENT).unwrap_or_default() + (34 << 20)
}

/// Reads the archive at a path of this machine.
pub(crate) fn load(path: &Path, place: &str) -> Result<Bundle, Error> {
    let bytes = read_file(path, Links::Follow, place, "the archive", max_size())?;
    read(&bytes, place)
}

/// Writes an archive to a path of this machine, unless another one is there.
pub(crate) fn save_at(
    bundle: &Bundle,
    path: &Path,
    place: &str,
    replace: bool,
) -> Result<(), Error> {
    let archive = write(bundle).map_err(|source| failed(place, "make", "the archive", source))?;
    match path.symlink_metadata() {
        Ok(_) => {
            let same = || read_file(path, Links::Follow, place, "the archive", max_size());
            if !replace && same()? != archive {
                return Err(Error::Occupied {
                    place: place.to_owned(),
                    found: "another archive".to_owned(),
                });
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed(place, "look at", "the archive", source)),
    }
    save(path, &archive).map_err(|source| failed(place, "write", "the archive", source))
}

/// The archive of a release. The same release makes the same bytes, everywhere and always.
pub(crate) fn write(bundle: &Bundle) -> io::Result<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in bundle.files() {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        archive.append(&header, bytes.as_ref())?;
    }
    archive.into_inner().map(Bytes::from)
}

/// The release in an archive. Its names are compared, and never used as paths.
pub(crate) fn read(archive: &[u8], place: &str) -> Result<Bundle, Error> {
    let invalid = |reason: String| Error::Archive {
        place: place.to_owned(),
        reason,
    };
    let broken = |error: io::Error| invalid(error.to_string());
    let mut gathered = Gathered::new(place);
    let mut folder: Option<Option<String>> = None;
    let mut members = 0;
    for entry in Archive::new(archive).entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        members += 1;
        let path = entry.path().map_err(broken)?;
        let shown = || first_words(path.as_os_str().as_encoded_bytes());
        let Some(member) = Member::of(&path) else {
            return Err(invalid(format!("the name `{}` leads elsewhere", shown())));
        };
        match (entry.header().entry_type(), member) {
            (EntryType::XGlobalHeader, _)
            | (EntryType::Directory, Member::Top | Member::File { folder: None, .. }) => {}
            (
                EntryType::Regular | EntryType::Continuous,
                Member::File {
                    folder: found,
                    name,
                },
            ) => {
                let Some(limit) = gathered.limit(&name) else {
                    continue;
                };
                if folder.get_or_insert_with(|| found.clone()) != &found {
                    return Err(invalid(
                        "it holds files of a release in two folders".to_owned(),
                    ));
                }
                if entry.size() > limit as u64 {
                    return Err(gathered.too_large(&name, limit));
                }
                gathered.add(&name, read_entry(entry).map_err(broken)?)?;
            }
            (EntryType::Regular | EntryType::Continuous | EntryType::Directory, _) => {
                return Err(invalid(format!(
                    "`{}` lies deeper than one folder",
                    shown()
                )));
            }
            _ => return Err(invalid(format!("`{}` is no plain file", shown()))),
        }
    }
    if members == 0 {
        return Err(invalid("it is no tar, or an empty one".to_owned()));
    }
    gathered.finish()
}

/// Reads a member whose size is known to be bearable.
fn read_entry(mut entry: tar::Entry<'_, impl Read>) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    // The end of a cut archive looks like the end of its last member.
    if bytes.len() as u64 != entry.size() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

/// Where in an archive something lies.
enum Member {
    /// The archive's top itself.
    Top,
    /// A name at the top or in one folder.
    File {
        folder: Option<String>,
        name: String,
    },
    /// Deeper than that.
    Deep,
}

impl Member {
    /// None where the name leads out of the archive, or is no text.
    fn of(path: &Path) -> Option<Self> {
        let mut names = Vec::new();
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::Normal(name) => names.push(name.to_str()?.to_owned()),
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        let mut names = names.into_iter();
        Some(match (names.next(), names.next(), names.next()) {
            (None, ..) => Self::Top,
            (Some(name), None, _) => Self::File { folder: None, name },
            (Some(folder), Some(name), None) => Self::File {
                folder: Some(folder),
                name,
            },
            _ => Self::Deep,
        })
    }
}

#[cfg(test)]
mod tests {
    use copal_trust::{PUBLISHER, STATEMENT};

    use super::*;

    fn release() -> Bundle {
        let mut bundle = Bundle::default();
        for name in [STATEMENT, "release.json.minisig", COMPONENT, PUBLISHER] {
            bundle.insert(name, Bytes::from(name.to_owned())).unwrap();
        }
        bundle
    }

    /// A tar whose names are written as they are.
    fn tar(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, kind, content) in members {
            let mut header = Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_entry_type(*kind);
            header.set_cksum();
            archive.append(&header, *content).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn a_release_comes_out_of_an_archive_as_it_went_in_and_the_archive_is_always_the_same() {
        let archive = write(&release()).unwrap();
        assert_eq!(read(&archive, "x.tar").unwrap(), release());
        assert_eq!(write(&read(&archive, "x.tar").unwrap()).unwrap(), archive);
        let headers: Vec<_> = Archive::new(archive.as_ref())
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                (
                    entry.path().unwrap().display().to_string(),
                    header.mode().unwrap(),
                    header.mtime().unwrap(),
                )
            })
            .collect();
        let expected = [COMPONENT, PUBLISHER, STATEMENT, "release.json.minisig"];
        assert_eq!(headers, expected.map(|name| (name.to_owned(), 0o644, 0)));
    }

    #[test]
    fn a_release_may_lie_at_the_top_or_in_one_folder_among_strangers() {
        use EntryType::{Directory, Regular};
        for members in [
            &[("plugin.wasm", Regular, &b"x"[..])][..],
            &[("./", Directory, b""), ("./plugin.wasm", Regular, b"x")],
            &[
                ("notebook-1.2.0/", Directory, b""),
                ("notebook-1.2.0/README.md", Regular, b"stranger"),
                ("notebook-1.2.0/plugin.wasm", Regular, b"x"),
                ("LICENSE", Regular, b"stranger"),
            ],
        ] {
            let bundle = read(&tar(members), "x.tar").unwrap();
            assert_eq!(bundle.get(COMPONENT).unwrap(), "x");
            assert_eq!(bundle.files().count(), 1);
        }
    }

    #[test]
    fn hostile_members_are_refused() {
        use EntryType::{Block, Char, Directory, Fifo, GNUSparse, Link, Regular, Symlink};
        let leads = "leads elsewhere";
        for (members, message) in [
            (&[("../plugin.wasm", Regular, &b"x"[..])][..], leads),
            (&[("a/../../plugin.wasm", Regular, b"x")], leads),
            (&[("/plugin.wasm", Regular, b"x")], leads),
            (&[("/etc/cron.d/x", Regular, b"x")], leads),
            (
                &[("a/b/plugin.wasm", Regular, b"x")],
                "deeper than one folder",
            ),
            (&[("a/b/", Directory, b"")], "deeper than one folder"),
            (&[("plugin.wasm", Symlink, b"")], "is no plain file"),
            (&[("plugin.wasm", Link, b"")], "is no plain file"),
            (&[("stranger", Symlink, b"")], "is no plain file"),
            (&[("plugin.wasm", Char, b"")], "is no plain file"),
            (&[("plugin.wasm", Block, b"")], "is no plain file"),
            (&[("plugin.wasm", Fifo, b"")], "is no plain file"),
            (&[("plugin.wasm", GNUSparse, b"")], "x.tar is no archive"),
            (
                &[
                    ("plugin.wasm", Regular, b"x"),
                    ("plugin.wasm", Regular, b"y"),
                ],
                "holds plugin.wasm twice",
            ),
            (
                &[
                    ("plugin.wasm", Regular, b"x"),
                    ("./plugin.wasm", Regular, b"x"),
                ],
                "holds plugin.wasm twice",
            ),
            (
                &[
                    ("a/plugin.wasm", Regular, b"x"),
                    ("b/release.json", Regular, b"{}"),
                ],
                "in two folders",
            ),
            (
                &[
                    ("a/plugin.wasm", Regular, b"x"),
                    ("release.json", Regular, b"{}"),
                ],
                "in two folders",
            ),
            (
                &[("README.md", Regular, b"x")],
                "holds no file of a plugin's release",
            ),
            (&[], "no tar, or an empty one"),
        ] {
            let error = read(&tar(members), "x.tar").unwrap_err();
            assert!(error.to_string().contains(message), "{members:?}: {error}");
        }
        for bytes in [&b""[..], b"\x1f\x8b a gzip", &[0x41; 4096]] {
            let error = read(bytes, "x.tar").unwrap_err();
            assert_eq!(error.kind(), "archive", "{error}");
        }
    }

    #[test]
    fn large_members_and_cut_archives_are_refused() {
        let document = vec![b' '; (1 << 20) + 1];
        let archive = tar(&[(STATEMENT, EntryType::Regular, &document)]);
        assert_eq!(read(&archive, "x.tar").unwrap_err().kind(), "too-large");
        let archive = write(&release()).unwrap();
        for end in [100, 520] {
            let error = read(&archive[..end], "x.tar").unwrap_err();
            assert_eq!(error.kind(), "archive", "{error}");
        }
    }

    #[test]
    fn an_archive_is_replaced_only_when_asked_for() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("x.tar");
        let mut other = Bundle::default();
        other
            .insert(COMPONENT, Bytes::from_static(b"other"))
            .unwrap();
        save_at(&release(), &path, "x.tar", false).unwrap();
        save_at(&release(), &path, "x.tar", false).unwrap();
        let error = save_at(&other, &path, "x.tar", false).unwrap_err();
        assert_eq!(error.kind(), "occupied", "{error}");
        assert_eq!(load(&path, "x.tar").unwrap(), release());
        save_at(&other, &path, "x.tar", true).unwrap();
        assert_eq!(load(&path, "x.tar").unwrap(), other);
    }
}
