"""Plans a backup."""

import json

from componentize_py_types import Err
from wit_world.exports.app import BackupRequest
from wit_world.imports.plan import BackupPlan, Source, SourceContent_Tree, Window
from wit_world.imports.tree import Tree
from wit_world.imports.types import FailureKind, Finding

from home_assistant import files, identity, service, settings, trees
from home_assistant.failures import error, failure, info, warning
from home_assistant.facts import Facts
from home_assistant.service import State
from home_assistant.settings import Settings


def plan(roots: list[Tree], request: BackupRequest) -> BackupPlan:
    """How to back the configuration directory up."""
    config = settings.parse(request.config)
    tree = trees.require(roots)
    if all(trees.file(tree, name) is None for name in (files.VERSION, files.CONFIGURATION)):
        raise failure(
            FailureKind.UNSUPPORTED,
            "not-found",
            f"the root `{trees.ROOT}` holds neither {files.VERSION} nor {files.CONFIGURATION}",
            "Give Home Assistant's configuration directory, such as /config in its container.",
        )
    result = BackupPlan(findings=[], facts=[], quiesce=[], sources=[], state=b"")
    version = trees.version(tree)
    try:
        instance = identity.of(tree)
    except Err as unreadable:
        # What is broken is saved all the same; a restore is told that it can't compare.
        instance = None
        result.findings.append(warning("identity.unreadable", f"{unreadable.value.message}."))
    history = _history(tree, config, result.findings)
    result.facts = Facts(version, instance, history).noted()
    if version is None:
        result.findings.append(warning("version.unknown", f"There is no {files.VERSION}, so a restore can't tell whether the target is older."))
    _quiesce(tree, config, history, result)
    _name_secrets(tree, result.findings)
    result.sources = [Source(trees.ROOT, [], Window.QUIESCED, SourceContent_Tree(trees.ROOT))]
    state = {"history": config.history, "own_backups": config.own_backups}
    result.state = json.dumps(state).encode()
    return result


def _history(tree: Tree, config: Settings, findings: list[Finding]) -> bool:
    """Whether the snapshot will hold the recorder's database."""
    if not config.history:
        findings.append(info("history.left-out", "The history of states is left out."))
    elif trees.file(tree, files.DATABASE) is None:
        findings.append(
            warning(
                "history.elsewhere",
                f"There is no {files.DATABASE}: the recorder is off, or keeps the history in a database elsewhere, which this backup does not hold.",
                "Back that database up too, or set `history=false` to be told no more.",
            )
        )
    else:
        return True
    return False


def _quiesce(tree: Tree, config: Settings, history: bool, result: BackupPlan) -> None:
    """Has the container stopped, or looks whether the database may be read."""
    state = service.state(config.container) if config.container else None
    match state:
        case State.ABSENT:
            result.findings.append(service_missing(config))
            return
        case State.RUNNING | State.UNKNOWN:
            result.quiesce.append(service.stop(config.container, thaw=True))
            return
    if not trees.has_journal(tree):
        if state is None and not config.stopped:
            result.findings.append(
                info("closed", "The recorder's database is closed, so Home Assistant does not run; it has to stay so until the backup is done.")
            )
    elif state is State.STOPPED or config.stopped:
        result.findings.append(
            info("recovered", f"Home Assistant was ended by force; what {files.JOURNAL} holds is saved with the database, and SQLite puts it in.")
        )
    elif history:
        result.findings.append(
            error(
                "running",
                f"There is a {files.JOURNAL}, so Home Assistant seems to run, and a copy of its database would not be whole.",
                "Set `container` so that it is stopped meanwhile, or stop it yourself and set `stopped=true`; or leave the history out by `history=false`.",
                f"{trees.ROOT}/{files.JOURNAL}",
            )
        )
    else:
        result.findings.append(
            warning("running", "Home Assistant seems to run: what it changes while it is read may not go together.", "Set `container`.")
        )


def service_missing(config: Settings) -> Finding:
    """What is said of a container that is not there."""
    return error("container.missing", f"There is no container {config.container}.", "Check the name, and that it is of this host and user.")


def _name_secrets(tree: Tree, findings: list[Finding]) -> None:
    present = [path for path in files.SECRETS if trees.file(tree, path) is not None]
    if present:
        findings.append(info("secrets", f"The snapshot holds secrets, because a restored Home Assistant needs them: {', '.join(present)}."))
