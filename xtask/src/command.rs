//! Running other programs, and saying what goes on.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result, anyhow};

pub(crate) use copal_authoring::command::{find, line, output};

/// Does one stage of a task, with a heading and the time that it took.
pub(crate) fn stage<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {title}");
    let start = Instant::now();
    let done = work().with_context(|| title.to_owned())?;
    println!("    {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}

/// Says one thing that goes on within a stage.
pub(crate) fn say(text: &str) {
    println!("    {text}");
}

/// Runs a command to its end; fails unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    advised(copal_authoring::command::perform(command))
}

/// What came of something, with the advice that an error brings.
pub(crate) fn advised<T>(done: Result<T, copal_authoring::Error>) -> Result<T> {
    done.map_err(|error| match error.advice() {
        Some(advice) => anyhow!("{error}. {advice}"),
        None => error.into(),
    })
}
