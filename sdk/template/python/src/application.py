"""What is the application's own: its configuration, and whether it runs. Put your application in its place."""

import json
import re

from componentize_py_types import Err
from wit_world.imports.plan import Action_Run, Step
from wit_world.imports.tree import Tree
from wit_world.imports.types import Command, Failure, FailureKind, Finding, Severity

ROOT = "home"
SETTINGS = "settings.ini"
# There while the application runs.
LOCK = "lock"
DRAFTS = "drafts"

# No such file is larger.
_LIMIT = 1 << 20

_UNIT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.@:-]*")


def failure(kind: FailureKind, code: str, message: str, remedy: str | None = None) -> Err[Failure]:
    """What to raise where a call can't do its work."""
    return Err(Failure(kind, f"{{name}}.{code}", message, remedy))


def error(code: str, message: str, path: str, remedy: str | None = None) -> Finding:
    """Because of which a plan must not be carried out, or a restore has failed."""
    return Finding(Severity.ERROR, f"{{name}}.{code}", message, remedy, f"{ROOT}/{path}")


def home(trees: list[Tree]) -> Tree:
    """The application's directory."""
    for tree in trees:
        if tree.name() == ROOT:
            return tree
    raise failure(FailureKind.MISSING, "root", f"the root `{ROOT}` was not given")


def settings_of(config: str) -> dict:
    """What the operator has set. Copal has compared it with the schema; who runs a plugin otherwise may hand over anything."""
    try:
        settings = json.loads(config)
    # Values that lie too deep in one another end in the second.
    except (ValueError, RecursionError):
        settings = None
    known = isinstance(settings, dict) and settings.keys() <= {"unit"}
    if not known or not isinstance(settings.get("unit", ""), str):
        raise failure(FailureKind.INVALID_CONFIG, "config", "the configuration is not an object with a text `unit` at most")
    return settings


def note_format(tree: Tree) -> int | None:
    """Which format the notes have; none without settings. A newer application raises it, and an older one can't read them any more."""
    if tree.stat(SETTINGS) is None:
        return None
    for line in tree.read(SETTINGS, 0, _LIMIT).decode("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "format" and re.fullmatch(r"[0-9]{1,9}", value.strip()):
            return int(value)
    raise failure(FailureKind.CORRUPT, "settings.format", f"{SETTINGS} does not say as a number which `format` the notes have")


def hold_still(tree: Tree, unit: str | None) -> tuple[list[Step], list[Finding]]:
    """The step that stops an application that runs, and starts it again; or what is to be said where nothing tells how."""
    if unit is not None and not _UNIT.fullmatch(unit):
        raise failure(FailureKind.INVALID_CONFIG, "config", "the setting `unit` does not fit: it can't be the name of a unit")
    if tree.stat(LOCK) is None:
        return [], []
    if unit is None:
        remedy = "Close it, or set `unit` to have it stopped and started again."
        return [], [error("running", "The application runs, so its files may change at any moment.", LOCK, remedy)]
    stop = Step(
        id="stop",
        title=f"Stop the unit {unit}",
        action=Action_Run(command("systemctl", "stop", unit)),
        undo=Action_Run(command("systemctl", "start", unit)),
        capture=False,
    )
    return [stop], []


def command(*argv: str) -> Command:
    """A command without a shell, within five minutes."""
    return Command(argv=list(argv), environment=[], stdin=None, descriptors=[], timeout=300)
