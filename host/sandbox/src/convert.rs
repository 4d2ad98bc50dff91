//! The types that only the exported interfaces have, to and from [`crate::types`]. All others the bindings take from there.
//!
//! This is the place where an older version of the contract would be adapted to the newest.

use crate::bindings::exports::copal::plugin::{app, transform};
use crate::types::{
    Application, BackupRequest, Capability, Capture, Change, Description, Detection, Direction,
    Member, RestoreRequest, RootSpec, Verdict, VerifyRequest,
};

impl From<app::Description> for Description {
    fn from(description: app::Description) -> Self {
        Self {
            name: description.name,
            version: description.version,
            summary: description.summary,
            roots: all(description.roots, |root| RootSpec {
                name: root.name,
                description: root.description,
                conflicts: root.conflicts,
            }),
            any_roots: description.any_roots,
            config_schema: description.config_schema,
            capabilities: all(description.capabilities, |capability| Capability {
                grant: capability.grant,
                reason: capability.reason,
            }),
            applications: all(description.applications, |application| Application {
                name: application.name,
                versions: application.versions,
            }),
            intents: description.intents,
        }
    }
}

impl From<app::Detection> for Detection {
    fn from(detection: app::Detection) -> Self {
        Self {
            application: detection.application,
            version: detection.version,
            root: detection.root,
            confidence: detection.confidence,
            because: detection.because,
        }
    }
}

impl From<BackupRequest> for app::BackupRequest {
    fn from(request: BackupRequest) -> Self {
        Self {
            config: request.config,
            now: request.now,
        }
    }
}

impl From<RestoreRequest> for app::RestoreRequest {
    fn from(request: RestoreRequest) -> Self {
        Self {
            intent: request.intent,
            config: request.config,
            now: request.now,
            facts: request.facts,
            streams: request.streams,
            rehearsal: request.rehearsal,
        }
    }
}

impl From<VerifyRequest> for app::VerifyRequest {
    fn from(request: VerifyRequest) -> Self {
        Self {
            intent: request.intent,
            config: request.config,
            facts: request.facts,
            captures: all(request.captures, |Capture { step, output }| app::Capture {
                step,
                output,
            }),
            rehearsal: request.rehearsal,
        }
    }
}

impl From<Direction> for transform::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Backup => Self::Backup,
            Direction::Restore => Self::Restore,
        }
    }
}

impl From<transform::Verdict> for Verdict {
    fn from(verdict: transform::Verdict) -> Self {
        match verdict {
            transform::Verdict::Keep => Self::Keep,
            transform::Verdict::Skip => Self::Skip,
            transform::Verdict::Change(change) => Self::Change(Change {
                name: change.name,
                mode: change.mode,
                owner: change.owner,
                modified: change.modified,
                filter: change.filter,
            }),
        }
    }
}

impl From<transform::Member> for Member {
    fn from(member: transform::Member) -> Self {
        Self {
            path: member.path,
            offset: member.offset,
            length: member.length,
        }
    }
}

fn all<T, U>(items: Vec<T>, convert: impl Fn(T) -> U) -> Vec<U> {
    items.into_iter().map(convert).collect()
}
