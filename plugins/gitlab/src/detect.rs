//! Recognises a GitLab by its files.

use copal_sdk::{Detection, Failure, Tree};

use crate::archive::selection::archives;
use crate::archive::{backup_name, time};
use crate::config::Kind;
use crate::layout::{BACKUPS, CONFIG, DATA, Layout};
use crate::secrets;

/// Whether a directory is a data volume, a folder of archives, or the Omnibus package's configuration.
pub(crate) fn detect(tree: &dyn Tree) -> Result<Option<Detection>, Failure> {
    if let Some(layout) = Layout::of(tree)? {
        let whose = match layout.kind {
            Kind::Omnibus => "the Omnibus package",
            Kind::Sameersbn => "the image sameersbn/gitlab",
        };
        let repositories = layout.repositories();
        let gitaly = [".gitaly-metadata", "@hashed", "+gitaly"];
        let mut found = 0;
        for name in gitaly {
            found += u8::from(tree.exists(&format!("{repositories}/{name}"))?);
        }
        let detection = Detection::new("GitLab", DATA, 50 + 15 * found)
            .because(format!("{repositories} lies as {whose} puts it"));
        let detection = match found {
            0 => detection,
            _ => detection.because("Gitaly has written there"),
        };
        return Ok(Some(match layout.version(tree)? {
            Some(version) => detection.version(version),
            None => detection,
        }));
    }
    let archives = archives(tree)?;
    let names: Vec<&str> = archives.iter().filter_map(backup_name).collect();
    if let Some(newest) = names.iter().max_by_key(|name| time(name)) {
        let detection = Detection::new("GitLab", BACKUPS, 90).because(format!(
            "GitLab's own archives lie there, {} of them",
            names.len()
        ));
        // 1755221522_2025_08_15_17.2.1-ee
        let version = newest.splitn(5, '_').nth(4);
        return Ok(Some(match version.and_then(crate::layout::version) {
            Some(version) => detection.version(version),
            None => detection,
        }));
    }
    if tree.exists("gitlab.rb")? && tree.exists(secrets::FILE)? {
        let detection = Detection::new("GitLab", CONFIG, 80);
        return Ok(Some(
            detection.because("there are gitlab.rb and gitlab-secrets.json"),
        ));
    }
    Ok(None)
}
