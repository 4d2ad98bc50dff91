"""Looks at what a restore has left."""

from wit_world.exports.app import VerifyRequest
from wit_world.imports.tree import Tree
from wit_world.imports.types import Finding, Intent

from home_assistant import facts, files, identity, json_text, recorder, settings, trees
from home_assistant.failures import error, info

# A registry of a large home has a few MB.
_LARGEST = 64 << 20
_PIECE = 4 << 20


def verify(targets: list[Tree], snapshot: list[Tree], request: VerifyRequest) -> list[Finding]:
    """Whether the target is whole and is the Home Assistant that it must be."""
    settings.parse(request.config)
    noted = facts.read(request.facts)
    target, source = trees.require(targets), trees.require(snapshot)
    findings: list[Finding] = []
    version = trees.version(target)
    if version != noted.version:
        findings.append(error("verify.version", f"The target says that it is of Home Assistant {version}, and the snapshot is of {noted.version}."))
    for path in files.REGISTRIES:
        if trees.file(source, path) is not None and not _is_json(target, path):
            findings.append(error("verify.registry", "The file is not there, or not JSON.", path=f"{trees.ROOT}/{path}"))
    findings += _identity(target, noted.instanceId, request.intent)
    if noted.history:
        fault = recorder.fault(target)
        if fault is not None:
            findings.append(error("verify.database", f"The recorder's database is not whole: {fault}.", path=f"{trees.ROOT}/{files.DATABASE}"))
        if target.stat(files.JOURNAL) is not None and source.stat(files.JOURNAL) is None:
            findings.append(error("verify.journal", "The file belongs to another database.", path=f"{trees.ROOT}/{files.JOURNAL}"))
    if not findings:
        findings.append(info("verify.whole", f"Home Assistant {version} is there, with its registries{' and its history' if noted.history else ''}."))
    return findings


def _identity(target: Tree, saved: str | None, intent: Intent) -> list[Finding]:
    """Whether the target is the original, or for a clone is not."""
    if saved is None:
        return []
    present = identity.of(target)
    if (intent is Intent.CLONE) == (present == saved):
        what = "the original's" if present == saved else "not the snapshot's"
        return [error("verify.identity", f"The target's identity is {what}.", path=f"{trees.ROOT}/{files.INSTANCE}")]
    return []


def _is_json(tree: Tree, path: str) -> bool:
    entry = trees.file(tree, path)
    if entry is None or entry.size > _LARGEST:
        return False
    content = b"".join(tree.read(path, offset, _PIECE) for offset in range(0, entry.size, _PIECE))
    try:
        json_text.parse(content)
    except ValueError:
        return False
    return True
