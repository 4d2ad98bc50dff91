//! The directories that a job is given, held against what the plugin works on.

use std::path::{Path, PathBuf};

use copal_sandbox::types::{Description, RootSpec};

use crate::error::Error;
use crate::places::Root;

/// The directories that a backup reads: named, existing, without symlinks in their paths.
pub fn sources(
    given: &[(Option<String>, PathBuf)],
    description: &Description,
) -> Result<Vec<Root>, Error> {
    let first = description.roots.first().map(|spec| spec.name.as_str());
    let mut roots = Vec::new();
    for (name, path) in given {
        let name = name.as_deref().or(first).ok_or_else(|| {
            Error::Roots(format!(
                "name the root: NAME={}; the plugin has no default one",
                path.display()
            ))
        })?;
        let found = std::fs::canonicalize(path);
        let path = found.map_err(|e| {
            Error::Roots(format!(
                "can't read the root `{name}` at {}: {e}",
                path.display()
            ))
        })?;
        if !path.is_dir() {
            return Err(Error::Roots(format!(
                "the root `{name}` is not a directory: {}",
                path.display()
            )));
        }
        add(&mut roots, name, path)?;
    }
    check(&roots, description)?;
    Ok(roots)
}

/// The directories that a restore fills, held against the roots that the snapshot holds, and those that it only looks at, which are others that
/// the plugin describes; a bare path takes the only root.
pub fn targets(
    given: &[(Option<String>, PathBuf)],
    held: &[String],
    described: &[RootSpec],
) -> Result<(Vec<Root>, Vec<Root>), Error> {
    let mut roots = Vec::new();
    let holds = || {
        held.iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for (name, path) in given {
        let name = match (name, held) {
            (Some(name), _) => name,
            (None, [only]) => only,
            (None, _) => {
                let problem = format!(
                    "say which root goes to {}: --to NAME={0}; the snapshot holds {}",
                    path.display(),
                    holds()
                );
                return Err(Error::Roots(problem));
            }
        };
        if !held.contains(name) && !described.iter().any(|spec| spec.name == *name) {
            return Err(Error::Roots(format!(
                "the snapshot has no root `{name}`; it holds {}",
                holds()
            )));
        }
        add(&mut roots, name, absolute(path)?)?;
    }
    if roots.is_empty() && !held.is_empty() {
        return Err(Error::Roots(format!(
            "say where to restore to: --to [NAME=]DIR; the snapshot holds {}",
            holds()
        )));
    }
    if let Some(root) = roots
        .iter()
        .find(|root| root.path.exists() && !root.path.is_dir())
    {
        let problem = format!(
            "the target of `{}` is not a directory: {}",
            root.name,
            root.path.display()
        );
        return Err(Error::Roots(problem));
    }
    check_apart(&roots)?;
    Ok(roots
        .into_iter()
        .partition(|root| held.contains(&root.name)))
}

/// Refuses targets of which one lies in another: their files would mix.
fn check_apart(roots: &[Root]) -> Result<(), Error> {
    for (index, one) in roots.iter().enumerate() {
        for other in roots.iter().skip(index + 1) {
            if one.path.starts_with(&other.path) || other.path.starts_with(&one.path) {
                let problem = format!(
                    "the targets of `{}` and `{}` lie in one another: give them directories apart",
                    one.name, other.name
                );
                return Err(Error::Roots(problem));
            }
        }
    }
    Ok(())
}

/// Refuses targets that are what is read, or lie in it or around it.
pub(crate) fn check_apart_from(targets: &[Root], sources: &[Root]) -> Result<(), Error> {
    for target in targets {
        for source in sources {
            if target.path.starts_with(&source.path) || source.path.starts_with(&target.path) {
                let problem = format!(
                    "the target {} is, holds or lies in {}, which is to be moved: give it a place of its own",
                    target.path.display(),
                    source.path.display()
                );
                return Err(Error::Roots(problem));
            }
        }
    }
    Ok(())
}

/// Refuses directories that hold the repository or Copal's own folder: what `removes` what does not belong into them would remove those.
pub(crate) fn check_spare(
    roots: &[Root],
    repository: &str,
    state: &Path,
    removes: &str,
) -> Result<(), Error> {
    for root in roots {
        let spared = [
            ("the repository", Path::new(repository)),
            ("Copal's own folder", state),
        ];
        for (what, place) in spared {
            let place = std::fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
            if place.starts_with(&root.path) {
                let problem = format!(
                    "{what} lies in {}, where {removes} whatever does not belong there: keep them apart",
                    root.path.display()
                );
                return Err(Error::Roots(problem));
            }
        }
    }
    Ok(())
}

/// The path from the file system's root on. A target that exists is freed from symlinks, so that it is shown as what it is.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let path = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    path.map_err(|e| Error::Roots(format!("the path can't be used: {e}")))
}

fn add(roots: &mut Vec<Root>, name: &str, path: PathBuf) -> Result<(), Error> {
    if roots.iter().any(|root| root.name == name) {
        return Err(Error::Roots(format!("the root `{name}` is given twice")));
    }
    roots.push(Root {
        name: name.to_owned(),
        path,
    });
    Ok(())
}

fn check(roots: &[Root], description: &Description) -> Result<(), Error> {
    let spec = |name: &str| description.roots.iter().find(|spec| spec.name == name);
    for Root { name, .. } in roots {
        if spec(name).is_none() && !(description.any_roots && is_root_name(name)) {
            let problem = format!(
                "{} has no root `{name}`; {}",
                description.name,
                offer(description)
            );
            return Err(Error::Roots(problem));
        }
        let conflicts = spec(name)
            .map(|spec| spec.conflicts.as_slice())
            .unwrap_or_default();
        if let Some(other) = roots.iter().find(|other| conflicts.contains(&other.name)) {
            let problem = format!(
                "`{name}` and `{}` hold the same data: give one of them",
                other.name
            );
            return Err(Error::Roots(problem));
        }
    }
    Ok(())
}

/// Lower-case letters, digits and `-`, at most 64, and not one of the snapshot's own folders.
pub(crate) fn is_root_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(fits) && name != crate::manifest::STREAMS
}

/// The roots that the plugin works on, in words.
pub(crate) fn offer(description: &Description) -> String {
    let one = |spec: &RootSpec| format!("`{}` ({})", spec.name, spec.description);
    let mut offers: Vec<_> = description.roots.iter().map(one).collect();
    if description.any_roots {
        offers.push("any other name of lower-case letters, digits and `-`".to_owned());
    }
    format!("it works on {}", offers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(any_roots: bool) -> Description {
        let spec = |name: &str, conflicts: &[&str]| RootSpec {
            name: name.into(),
            description: "d".into(),
            conflicts: conflicts.iter().map(|&name| name.to_owned()).collect(),
        };
        Description {
            name: "copal/jpom".into(),
            version: "1.0.0".into(),
            summary: String::new(),
            roots: vec![spec("home", &["data"]), spec("data", &["home"])],
            any_roots,
            config_schema: "{}".into(),
            capabilities: Vec::new(),
            applications: Vec::new(),
            intents: Vec::new(),
        }
    }

    fn given(names: &[Option<&str>]) -> Vec<(Option<String>, PathBuf)> {
        names
            .iter()
            .map(|name| (name.map(str::to_owned), "/".into()))
            .collect()
    }

    #[test]
    fn a_bare_path_is_the_plugins_first_root() {
        assert_eq!(
            sources(&given(&[None]), &description(false)).unwrap()[0].name,
            "home"
        );
    }

    #[test]
    fn roots_that_do_not_fit_are_refused() {
        let refused = [
            (vec![None, Some("home")], false),
            (vec![Some("home"), Some("data")], false),
            (vec![Some("logs")], false),
            (vec![Some("streams")], true),
            (vec![Some("../x")], true),
        ];
        for (names, any) in refused {
            assert!(
                sources(&given(&names), &description(any)).is_err(),
                "{names:?}"
            );
        }
        assert!(sources(&given(&[Some("logs")]), &description(true)).is_ok());
    }

    #[test]
    fn a_bare_target_needs_a_snapshot_of_one_root() {
        let held = ["home".to_owned(), "conf".to_owned()];
        assert_eq!(
            targets(&given(&[None]), &held[..1], &[]).unwrap().0[0].name,
            "home"
        );
        assert!(targets(&given(&[None]), &held, &[]).is_err());
        assert!(targets(&given(&[Some("data")]), &held, &[]).is_err());
        assert!(targets(&[], &held, &[]).is_err());
        let described = description(false).roots;
        let (filled, looked_at) = targets(&given(&[Some("data")]), &held, &described).unwrap();
        assert!(filled.is_empty() && looked_at[0].name == "data");
        assert!(targets(&[], &[], &described).is_ok_and(|(filled, _)| filled.is_empty()));
        let apart = |conf: &str| {
            let target = |name: &str, path: &str| (Some(name.to_owned()), PathBuf::from(path));
            targets(
                &[target("home", "/nowhere/a"), target("conf", conf)],
                &held,
                &[],
            )
        };
        assert!(apart("/nowhere/a").is_err() && apart("/nowhere/a/b").is_err());
        assert!(apart("/nowhere/ab").is_ok());
    }
}
