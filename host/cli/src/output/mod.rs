//! What the program prints: tables and plans for people, one JSON document for machines.

mod console;
mod drill;
mod plan;
mod report;
mod text;

use std::io::{IsTerminal as _, Write as _};

use comfy_table::Table;
use serde::Serialize;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

pub(crate) use self::console::Console;
pub(crate) use self::drill::drill;
pub(crate) use self::plan::{
    Tried, backup as backup_plan, migration as migration_plan, needed, restore as restore_plan,
    rollback as rollback_plan, tried_backup, tried_restore,
};
pub(crate) use self::report::{
    backup, findings, migration, problems, restore, resumed, rollback, unfinished,
};
pub(crate) use self::text::{bytes, printable, printable_lines, stored_time, time};
use crate::failure::Failure;
use crate::session::Session;

/// Sends the program's own log to the standard error: warnings, and with `-v` more. `COPAL_LOG` overrides.
pub(crate) fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info,copal=debug,plugin=debug",
        _ => "debug,copal=trace,plugin=trace",
    };
    let filter = EnvFilter::try_from_env("COPAL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(verbose > 0)
        .without_time()
        .init();
}

/// Prints one JSON document.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// Prints text for people.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Prints a plan, where people read along.
pub(crate) fn plan(text: impl FnOnce() -> String, session: &Session) -> Result<(), Failure> {
    if session.global.json || session.global.quiet {
        return Ok(());
    }
    print(&format!("{}\n", text()))
}

/// Says on the standard error what went wrong.
pub(crate) fn complain(text: &str) {
    // There is nowhere else to say it.
    std::io::stderr().write_all(text.as_bytes()).ok();
}

/// An empty table in the program's style: columns parted by spaces.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_header(header);
    table
}

/// The table's text without trailing blanks.
pub(crate) fn table_text(table: &Table) -> String {
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// A failure as a machine reads it.
pub(crate) fn failure_document(failure: &Failure) -> Value {
    json!({
        "kind": failure.kind(),
        "message": failure.to_string(),
        "advice": failure.advice(),
        "exit_code": failure.exit_code(),
    })
}

/// Says on the standard error why the command failed.
pub(crate) fn failure(failure: &Failure, as_json: bool) {
    let text = if as_json {
        json!({"error": failure_document(failure)}).to_string()
    } else {
        let advice = failure
            .advice()
            .map(|advice| format!("\n{advice}"))
            .unwrap_or_default();
        text::printable_lines(&format!("copal: {failure}{advice}"))
    };
    // There is nowhere else to say it.
    writeln!(std::io::stderr(), "{text}").ok();
}
