//! What is shown while a job works: a progress bar on a terminal, lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use copal_job::{Observer, Stage, StepState};
use copal_repository::progress::Progress;
use copal_sandbox::types::{Finding, Severity};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::report::finding_lines;
use super::text::printable;

/// Shows the progress of one job on the standard error.
pub(crate) struct Console {
    bar: ProgressBar,
    files: AtomicU64,
    /// What is counted.
    unit: &'static str,
    silent: bool,
    /// Whether a machine reads the stages of a migration, as one JSON document a line.
    machine: bool,
    stage: Mutex<Option<Stage>>,
}

impl Console {
    /// A bar on a terminal; only lines elsewhere; nothing but errors where `silent`.
    pub(crate) fn new(silent: bool) -> Self {
        Self::make(silent, false)
    }

    /// One that tells a machine the stages of a migration.
    pub(crate) fn for_machines() -> Self {
        Self::make(true, true)
    }

    /// The same, counting something else than files.
    pub(crate) fn counting(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    fn make(silent: bool, machine: bool) -> Self {
        let shown = !silent && std::io::stderr().is_terminal();
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix}{elapsed_precise} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {msg}",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        if shown {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            bar,
            files: AtomicU64::new(0),
            unit: "files",
            silent,
            machine,
            stage: Mutex::default(),
        }
    }

    fn say(&self, text: &str) {
        self.pause(|| {
            // Where the standard error is gone, the work goes on all the same.
            writeln!(std::io::stderr(), "{}", printable(text)).ok();
        });
    }

    /// Prints something while the bar is out of the way.
    pub(crate) fn pause(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Console {
    fn phase(&self, text: &str) {
        if !self.silent {
            self.say(text);
        }
    }

    fn step(&self, title: &str, state: StepState) {
        let word = match state {
            StepState::Started => "…",
            StepState::Done => "done",
            StepState::Failed => "FAILED",
            StepState::Undoing => "undoing …",
            StepState::Undone => "undone",
            StepState::UndoFailed => "UNDOING FAILED",
        };
        if !self.silent || matches!(state, StepState::Failed | StepState::UndoFailed) {
            self.say(&format!("{title}: {word}"));
        }
    }

    fn stage(&self, stage: Stage, percent: u8) {
        if self.machine {
            let line = json!({"stage": stage.word(), "percent": percent});
            // Where the standard error is gone, the work goes on all the same.
            writeln!(std::io::stderr(), "{line}").ok();
        } else if self.bar.is_hidden() {
            let entered = self
                .stage
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .replace(stage);
            if entered != Some(stage) {
                self.phase(&format!("{}: {percent} %", stage.word()));
            }
        } else {
            self.bar
                .set_prefix(format!("{} {percent} % ", stage.word()));
        }
    }

    fn finding(&self, finding: &Finding) {
        if !self.silent || finding.severity > Severity::Info {
            let lines = finding_lines(std::slice::from_ref(finding));
            lines.lines().for_each(|line| self.say(line));
        }
    }

    fn progress(&self) -> &dyn Progress {
        self
    }
}

impl Progress for Console {
    fn part(&self, text: &str) {
        if !self.silent {
            self.say(text);
        }
    }

    fn total(&self, _files: u64, bytes: u64) {
        self.bar.inc_length(bytes);
    }

    fn advance(&self, files: u64, bytes: u64) {
        let files = self.files.fetch_add(files, Ordering::Relaxed) + files;
        self.bar.inc(bytes);
        self.bar.set_message(format!("{files} {}", self.unit));
    }
}
