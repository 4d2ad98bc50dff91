"""Plans a restore."""

import json

from wit_world.exports.app import RestoreRequest
from wit_world.imports.plan import (
    Action_Remove,
    Base_Root,
    Location,
    Placement,
    PlacementContent_Tree,
    RestorePlan,
    Step,
)
from wit_world.imports.tree import Tree
from wit_world.imports.types import FailureKind, Finding, Intent

from home_assistant import facts, files, identity, service, settings, trees, version
from home_assistant.backup import service_missing
from home_assistant.failures import error, failure, info, warning
from home_assistant.service import State
from home_assistant.settings import Settings


def plan(targets: list[Tree], snapshot: list[Tree], request: RestoreRequest) -> RestorePlan:
    """How to restore into the target."""
    config = settings.parse(request.config)
    noted = facts.read(request.facts)
    source, target = trees.require(snapshot), trees.require(targets)
    if trees.file(source, files.VERSION) is None and trees.file(source, files.CONFIGURATION) is None:
        raise failure(FailureKind.UNSUPPORTED, "not-found", "the snapshot holds no Home Assistant")
    result = RestorePlan(findings=[], safeguards=[], before=[], placements=[], after=[], state=b"")
    _compare_versions(noted.version, trees.version(target), result.findings)
    new = _identity(request, noted.instanceId, target, result.findings)
    if not request.rehearsal:
        _stop(target, config, result)
    _remove_stale(source, target, result)
    result.placements = [Placement(trees.ROOT, [], PlacementContent_Tree(trees.ROOT))]
    result.state = json.dumps({"identity": new}).encode()
    return result


def _compare_versions(saved: str | None, present: str | None, findings: list[Finding]) -> None:
    """Refuses an older target, as Home Assistant's own restore does (homeassistant/backup_restore.py in core)."""
    ours, theirs = version.parse(saved or ""), version.parse(present or "")
    if saved is None or ours is None or (present is not None and theirs is None):
        findings.append(warning("version.unknown", f"Whether the target's Home Assistant ({present or 'none yet'}) is older than the snapshot's ({saved or 'unknown'}) can't be told."))
    elif theirs is None:
        findings.append(info("version.needed", f"The target holds no Home Assistant yet: start it with version {saved} or a newer one."))
    elif ours > theirs:
        findings.append(
            error("target.older", f"The snapshot is of Home Assistant {saved}, and the target has {present}, which can't read it.", f"Update the target to {saved} or newer first.")
        )


def _identity(request: RestoreRequest, saved: str | None, target: Tree, findings: list[Finding]) -> str | None:
    """The identity that the restored Home Assistant gets in the snapshot's place; none where it keeps that."""
    present = identity.of(target)
    if request.intent is not Intent.CLONE:
        if present is not None and saved is not None and present != saved:
            if request.intent is Intent.RECOVER:
                findings.append(
                    error("identity.differs", "The target is another Home Assistant than the one that was saved.", "Choose another target, or `--intent migrate` to put this one in its place.")
                )
            else:
                findings.append(info("identity.replaced", "The target's own identity gives way to the snapshot's."))
        return None
    findings.append(
        warning(
            "clone.devices",
            "The clone knows the same devices, accounts and tokens as the original, and both would act on them.",
            "Start it cut off from the devices, and remove there what the original is to keep.",
        )
    )
    if saved is None:
        return None
    new = present if present not in (None, saved) else identity.for_clone(saved, target.location(), request.now.seconds)
    findings.append(info("identity.new", f"The clone gets the identity {new}."))
    return new


def _stop(target: Tree, config: Settings, result: RestorePlan) -> None:
    """Has the target's Home Assistant stopped. It stays so: what was restored is looked at first."""
    state = service.state(config.container) if config.container else None
    match state:
        case State.ABSENT:
            result.findings.append(service_missing(config))
        case State.RUNNING | State.UNKNOWN:
            result.before.append(service.stop(config.container, thaw=False))
        case _ if state is None and trees.has_journal(target) and not config.stopped:
            result.findings.append(
                error(
                    "target.running",
                    f"There is a {files.JOURNAL} at the target, so Home Assistant seems to run there.",
                    "Set `container` so that it is stopped first, or stop it yourself and set `stopped=true`.",
                    f"{trees.ROOT}/{files.JOURNAL}",
                )
            )
    start = f"`docker start {config.container}`" if config.container else "Start it"
    result.findings.append(info("start", "Home Assistant stays stopped after the restore.", f"{start} when you have looked at the result."))


def _remove_stale(source: Tree, target: Tree, result: RestorePlan) -> None:
    """Removes what belongs to the target's old database: SQLite would take it for the restored one's."""
    if trees.file(source, files.DATABASE) is None:
        if trees.file(target, files.DATABASE) is not None:
            result.findings.append(info("history.kept", "The snapshot holds no history, so the target keeps its own."))
        return
    for name, path in (("journal", files.JOURNAL), ("index", files.INDEX)):
        if target.stat(path) is not None and source.stat(path) is None:
            result.after.append(
                Step(
                    id=f"remove-{name}",
                    title=f"Remove {path} of the target's old database",
                    action=Action_Remove(Location(Base_Root(trees.ROOT), path)),
                    undo=None,
                    capture=False,
                )
            )
