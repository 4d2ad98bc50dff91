"""The Copal plugin `{{publisher}}/{{name}}`: backs up and restores {{name}}, a directory of notes.

`App` answers the contract's interface `app`; the classes of the interface `transform` are in the module of that name.
"""

import json

import transform  # noqa: F401  The component finds its classes here.
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.app import (
    Application,
    BackupRequest,
    Capability,
    Description,
    Detection,
    RestoreRequest,
    RootSpec,
    VerifyRequest,
)
from wit_world.imports.plan import (
    BackupPlan,
    Fact,
    Placement,
    PlacementContent_Tree,
    RestorePlan,
    Source,
    SourceContent_Tree,
    Window,
)
from wit_world.imports.tree import Tree
from wit_world.imports.types import FailureKind, Finding, Intent, Kind

from application import ROOT, SETTINGS, error, failure, hold_still, home, note_format, settings_of

# What an operator can set. Copal refuses what does not fit.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "unit": {
            "type": "string",
            "description": "The systemd unit to stop while the application's files are read or replaced.",
        },
    },
}


class App(exports.App):
    def describe(self) -> Description:
        return Description(
            name="{{publisher}}/{{name}}",
            version="0.1.0",
            summary="Saves notes without their drafts, and restores them.",
            roots=[RootSpec(ROOT, "The folder that holds settings.ini and notes", [])],
            any_roots=False,
            config_schema=json.dumps(SCHEMA),
            capabilities=[
                Capability("run:systemctl stop *", "To stop the unit of `unit` while its files are read or replaced"),
                Capability("run:systemctl start *", "To start the unit again afterwards"),
            ],
            applications=[Application("{{name}}", "all whose notes have a format of 1 or more")],
            intents=[Intent.RECOVER, Intent.MIGRATE, Intent.CLONE],
        )

    def detect(self, root: Tree) -> Detection | None:
        notes = root.stat("notes")
        if notes is None or notes.kind is not Kind.DIRECTORY:
            return None
        try:
            number = note_format(root)
        except Err:
            # Settings that say no format are another application's.
            return None
        if number is None:
            return None
        because = ["there is a folder notes", f"{SETTINGS} says format {number}"]
        return Detection("{{name}}", None, ROOT, 80, because)

    def plan_backup(self, roots: list[Tree], request: BackupRequest) -> BackupPlan:
        tree = home(roots)
        number = note_format(tree)
        if number is None:
            raise failure(
                FailureKind.MISSING,
                "not-found",
                f"there is no {SETTINGS} in {tree.location()}",
                "Give the folder that holds settings.ini and notes.",
            )
        quiesce, findings = hold_still(tree, settings_of(request.config).get("unit"))
        return BackupPlan(
            findings=findings,
            facts=[Fact("format", json.dumps(number))],
            quiesce=quiesce,
            sources=[Source(ROOT, [], Window.QUIESCED, SourceContent_Tree(ROOT))],
            state=b"",
        )

    def plan_restore(self, targets: list[Tree], snapshot: list[Tree], request: RestoreRequest) -> RestorePlan:
        tree = home(targets)
        saved = saved_format(request.facts)
        # A rehearsal must not touch the application that runs beside it.
        before, findings = ([], []) if request.rehearsal else hold_still(tree, settings_of(request.config).get("unit"))
        try:
            there = note_format(tree)
        except Err:
            # Settings that can't be read are no reason to refuse: a restore may be what mends them.
            there = None
        if there is not None and there > saved:
            findings.append(
                error(
                    "target.newer",
                    f"The target's notes have format {there}, newer than the snapshot's {saved}.",
                    SETTINGS,
                    "Restore into an empty folder, or move this one away.",
                )
            )
        return RestorePlan(
            findings=findings,
            safeguards=[],
            before=before,
            placements=[Placement(ROOT, [], PlacementContent_Tree(ROOT))],
            after=[],
            state=b"",
        )

    def verify(self, targets: list[Tree], snapshot: list[Tree], request: VerifyRequest) -> list[Finding]:
        settings_of(request.config)
        saved, there = saved_format(request.facts), note_format(home(targets))
        if there is None:
            return [error("verify.missing", f"{SETTINGS} was saved and is not there.", SETTINGS)]
        if there != saved:
            return [error("verify.format", f"The restored notes have format {there}, the saved ones had {saved}.", SETTINGS)]
        return []


def saved_format(facts: list[Fact]) -> int:
    """The format that the backup noted."""
    for fact in facts:
        # A longer number is no format, and too long a one `int` would not take.
        if fact.name == "format" and fact.value.isdecimal() and len(fact.value) < 10:
            return int(fact.value)
    raise failure(FailureKind.MISSING, "facts", "the snapshot does not tell which format its notes have")
