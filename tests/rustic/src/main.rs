//! What of rustic a test needs, over its library: the program itself takes ten times as long to compile.
//!
//! `rustic COMMAND [ARGUMENT]`, on the repository that `RUSTIC_REPOSITORY` names, with `RUSTIC_PASSWORD`.

use std::error::Error;
use std::path::PathBuf;

use rustic_backend::BackendOptions;
use rustic_core::jiff::Zoned;
use rustic_core::{
    BackupOptions, CheckOptions, ConfigOptions, Credentials, DevIdOption, Excludes, Id,
    KeepOptions, KeyOptions, LimitOption, LocalDestination, LocalSourceSaveOptions, LsOptions,
    OpenStatus, PathList, PruneOptions, Repository, RepositoryOptions, RestoreOptions,
    RewriteOptions, RewriteTreesOptions, RusticResult, SnapshotOptions,
};

fn main() -> Result<(), Box<dyn Error>> {
    let at = std::env::var("RUSTIC_REPOSITORY")?;
    let credentials = Credentials::password(std::env::var("RUSTIC_PASSWORD")?);
    let open = |at: &str| repository(at)?.open(&credentials);
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["init"] => {
            let (key, config) = (KeyOptions::default(), ConfigOptions::default());
            repository(&at)?.init(&credentials, &key, &config)?;
        }
        ["backup", source] => back_up(open(&at)?, source)?,
        ["check", "--read-data"] => {
            let options = CheckOptions::default().read_data(true);
            open(&at)?.check(options)?.is_ok()?;
        }
        ["restore", "latest", target] => restore(open(&at)?, target)?,
        ["forget", "--keep-last", count] => forget(&open(&at)?, count.parse()?)?,
        ["prune", "--max-unused", limit] => {
            let repository = open(&at)?;
            let options = PruneOptions::default().max_unused(limit.parse::<LimitOption>()?);
            let plan = repository.prune_plan(&options)?;
            repository.prune(&options, plan)?;
        }
        ["rewrite", "--forget", "--glob", glob] => rewrite(open(&at)?, glob)?,
        ["copy", "--init", "--target", target] => {
            let from = open(&at)?.to_indexed()?;
            // It copies only to where files are cut at the same places.
            let mut config = from.config().clone();
            config.id = Id::random().into();
            repository(target)?.init_with_config(&credentials, &KeyOptions::default(), config)?;
            let snapshots = from.get_all_snapshots()?;
            from.copy(&open(target)?.to_indexed_ids()?, &snapshots)?;
        }
        _ => return Err(format!("no such command: {words:?}").into()),
    }
    Ok(())
}

fn repository(at: &str) -> RusticResult<Repository<()>> {
    let backends = BackendOptions::default().repository(at).to_backends()?;
    Repository::new(&RepositoryOptions::default().no_cache(true), &backends)
}

/// As rustic does it, but with the device of every file, which restic 0.14 notes too.
fn back_up(repository: Repository<OpenStatus>, source: &str) -> Result<(), Box<dyn Error>> {
    let saved = LocalSourceSaveOptions::default().set_devid(DevIdOption::Yes);
    let options = BackupOptions::default().ignore_save_opts(saved);
    let source = PathList::from_iter([PathBuf::from(source)]).sanitize()?;
    let snapshot = SnapshotOptions::default().to_snapshot()?;
    repository
        .to_indexed_ids()?
        .backup(&options, &source, snapshot)?;
    Ok(())
}

fn restore(repository: Repository<OpenStatus>, target: &str) -> RusticResult<()> {
    let repository = repository.to_indexed()?;
    let node = repository.node_from_snapshot_path("latest", |_| true)?;
    let nodes = repository.ls(&node, &LsOptions::default())?;
    let target = LocalDestination::new(target, true, false)?;
    let options = RestoreOptions::default().numeric_id(true);
    let plan = repository.prepare_restore(&options, nodes.clone(), &target, false)?;
    repository.restore(plan, &options, nodes, &target)
}

fn forget(repository: &Repository<OpenStatus>, count: i32) -> RusticResult<()> {
    let keep = KeepOptions::default().keep_last(count);
    let judged = keep.apply(repository.get_all_snapshots()?, &Zoned::now())?;
    let gone = judged.into_iter().filter(|judged| !judged.keep);
    let gone: Vec<_> = gone.map(|judged| judged.snapshot.id).collect();
    repository.delete_snapshots(&gone)
}

fn rewrite(repository: Repository<OpenStatus>, glob: &str) -> RusticResult<()> {
    let repository = repository.to_indexed()?;
    let mut excludes = Excludes::default();
    excludes.globs.push(glob.to_owned());
    let options = RewriteOptions::default().forget(true);
    let trees = RewriteTreesOptions::default().excludes(excludes);
    let snapshots = repository.get_all_snapshots()?;
    repository.rewrite_snapshots_and_trees(snapshots, &options, &trees)?;
    Ok(())
}
