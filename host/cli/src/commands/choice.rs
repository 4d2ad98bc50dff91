//! Patterns of paths, from the arguments and the files that they name.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use copal_repository::pattern::{Pattern, Patterns};

use crate::failure::Failure;

/// The patterns that are said, those that take letters of either case for the same, and those in files: one on each line, `#` begins a comment.
pub(super) fn patterns(
    said: &[OsString],
    of_any_case: &[OsString],
    files: &[PathBuf],
) -> Result<Patterns, Failure> {
    let mut patterns = Vec::new();
    let mut add = |text: &[u8], ignore_case| {
        let pattern = Pattern::new(text, ignore_case);
        patterns.push(pattern.map_err(|error| Failure::arguments(error.to_string(), ""))?);
        Ok::<_, Failure>(())
    };
    for (texts, ignore_case) in [(said, false), (of_any_case, true)] {
        for text in texts {
            add(text.as_bytes(), ignore_case)?;
        }
    }
    for file in files {
        let content = std::fs::read(file).map_err(|error| {
            let message = format!("can't read the patterns in {}: {error}", file.display());
            Failure::arguments(message, "")
        })?;
        let lines = content.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
            add(line, false)?;
        }
    }
    Ok(patterns.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_patterns_has_one_on_each_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# what grows\n\n *.log \n/home/cache\r\n").unwrap();
        let patterns = |files: &[PathBuf]| patterns(&["a".into()], &[], files);
        let texts: Vec<_> = patterns(&[file.path().into()])
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(texts, ["a", "*.log", "/home/cache"]);
        assert!(patterns(&["/nowhere".into()]).is_err());
    }
}
