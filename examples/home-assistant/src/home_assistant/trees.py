"""Looking into a configuration directory."""

from wit_world.imports.tree import Tree
from wit_world.imports.types import Entry, FailureKind, Kind

from home_assistant import files
from home_assistant.failures import failure

# The plugin's only root, in Home Assistant's own word.
ROOT = "config"


def find(trees: list[Tree]) -> Tree | None:
    """The configuration directory, if it is among the trees."""
    return next((tree for tree in trees if tree.name() == ROOT), None)


def require(trees: list[Tree]) -> Tree:
    """The configuration directory."""
    tree = find(trees)
    if tree is None:
        raise failure(FailureKind.MISSING, "root", f"the root `{ROOT}` was not given")
    return tree


def file(tree: Tree, path: str) -> Entry | None:
    """The entry of a file; none where there is none."""
    entry = tree.stat(path)
    return entry if entry is not None and entry.kind is Kind.FILE else None


def read(tree: Tree, path: str, limit: int) -> bytes | None:
    """A file that is known to be small; none where there is none."""
    entry = file(tree, path)
    if entry is None:
        return None
    if entry.size > limit:
        raise failure(
            FailureKind.CORRUPT,
            "file.size",
            f"{ROOT}/{path} has {entry.size} bytes, and Home Assistant writes {limit} at most",
        )
    return tree.read(path, 0, limit)


def version(tree: Tree) -> str | None:
    """The version that last started with this directory."""
    content = read(tree, files.VERSION, 1 << 10)
    if content is None:
        return None
    return content.decode("utf-8", "replace").partition("\n")[0].strip()


def has_journal(tree: Tree) -> bool:
    """Whether the recorder's database is open, or was when its program was ended by force."""
    journal = file(tree, files.JOURNAL)
    return journal is not None and journal.size > 0
