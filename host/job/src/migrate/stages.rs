//! The stages of a migration as they go by, with how far it is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use copal_repository::progress::{ItemError, Progress};
use copal_sandbox::types::Finding;
use jiff::Timestamp;

use super::record::Stage;
use crate::observer::{Observer, StepState};

/// Tells an observer how far one part of a migration is, from the bytes that went by.
pub(super) struct Part<'a> {
    observer: &'a dyn Observer,
    stage: Stage,
    /// The stage that begins with the first thing that is read.
    reading: Option<Stage>,
    begun: OnceLock<Timestamp>,
    /// The percent that the part ends with.
    end: u8,
    told: AtomicU8,
    total: AtomicU64,
    passed: AtomicU64,
}

impl<'a> Part<'a> {
    /// A part that begins with `stage` and turns into `reading`, if that is given, once something is read.
    pub(super) fn new(
        observer: &'a dyn Observer,
        stage: Stage,
        reading: Option<Stage>,
        end: u8,
    ) -> Self {
        observer.stage(stage, stage.percent());
        Self {
            observer,
            stage,
            reading,
            begun: OnceLock::new(),
            end,
            told: AtomicU8::new(stage.percent()),
            total: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        }
    }

    /// When the first thing was read.
    pub(super) fn reading_since(&self) -> Option<Timestamp> {
        self.begun.get().copied()
    }

    fn now(&self) -> Stage {
        match self.reading {
            Some(reading) if self.begun.get().is_some() => reading,
            _ => self.stage,
        }
    }

    fn tell(&self, percent: u8) {
        // Totals grow while directories are listed: what was told never goes back.
        if self.told.fetch_max(percent, Ordering::Relaxed) < percent {
            self.observer.stage(self.now(), percent);
        }
    }
}

impl Observer for Part<'_> {
    fn phase(&self, text: &str) {
        if let Some(reading) = self.reading
            && self.begun.set(Timestamp::now()).is_ok()
        {
            self.tell(reading.percent());
        }
        self.observer.phase(text);
    }

    fn step(&self, title: &str, state: StepState) {
        self.observer.step(title, state);
    }

    fn finding(&self, finding: &Finding) {
        self.observer.finding(finding);
    }

    fn progress(&self) -> &dyn Progress {
        self
    }
}

impl Progress for Part<'_> {
    fn total(&self, files: u64, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.observer.progress().total(files, bytes);
    }

    fn advance(&self, files: u64, bytes: u64) {
        let passed = self.passed.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total = self.total.load(Ordering::Relaxed);
        let begin = self.now().percent();
        let room = u64::from(self.end.saturating_sub(begin));
        if let Some(part) = (passed.min(total) * room).checked_div(total) {
            self.tell(begin + u8::try_from(part).unwrap_or(0));
        }
        self.observer.progress().advance(files, bytes);
    }

    fn item_error(&self, error: &ItemError) {
        self.observer.progress().item_error(error);
    }
}
