"""A tree in memory, answers to commands, and what a pass makes of a tree."""

from pathlib import Path
from unittest import mock

from componentize_py_types import Err
from wit_world.exports.transform import Direction, Verdict_Change, Verdict_Skip
from wit_world.imports import process
from wit_world.imports.types import Entry, Failure, FailureKind, Kind, Output, Owner, Timestamp

import transform

SAMPLE = Path(__file__).parent.parent / "sample"
NOW = Timestamp(1_767_225_600, 0)
# JSON that is valid and too deep to be read.
DEEP = "[" * 60_000 + "]" * 60_000
CONTAINER = ("docker", "inspect", "-f", "{{{{.State.Running}}}}", "hass")


class MemoryTree:
    """A tree of files, by their paths; it has what the contract's `tree` has."""

    def __init__(self, contents: dict[str, bytes], location: str = "/srv/hass") -> None:
        self.contents = contents
        self._location = location

    @classmethod
    def sample(cls, **changes: bytes | None) -> "MemoryTree":
        """The sample; `changes` are by paths, and none removes a file."""
        files = {str(path.relative_to(SAMPLE)): path.read_bytes() for path in SAMPLE.rglob("*") if path.is_file()}
        return cls({path: content for path, content in (files | changes).items() if content is not None})

    def name(self) -> str:
        return "config"

    def location(self) -> str:
        return self._location

    def stat(self, path: str) -> Entry | None:
        if path in self.contents:
            return self._entry(path, Kind.FILE)
        beneath = any(other.startswith(f"{path}/") for other in self.contents)
        return self._entry(path, Kind.DIRECTORY) if beneath else None

    def read(self, path: str, offset: int, length: int) -> bytes:
        return self.contents[path][offset : offset + length]

    def list(self, path: str) -> list[Entry]:
        prefix = f"{path}/" if path else ""
        names = {other[len(prefix) :].split("/")[0] for other in self.contents if other.startswith(prefix)}
        return [self.stat(prefix + name) for name in sorted(names)]

    def _entry(self, path: str, kind: Kind) -> Entry:
        size = len(self.contents.get(path, b""))
        return Entry(path, kind, size, 0o644, Owner(1000, 1000, "", ""), NOW, None)


def passed(tree: MemoryTree, direction: Direction, state: bytes, chunk: int = 1 << 20) -> MemoryTree:
    """The tree as it comes out of a pass."""
    run = transform.Pass.start(direction, state)
    contents: dict[str, bytes] = {}

    def walk(path: str) -> None:
        entries = tree.list(path)
        for entry, verdict in zip(entries, run.classify("config", entries), strict=True):
            if isinstance(verdict, Verdict_Skip):
                continue
            if entry.kind is Kind.DIRECTORY:
                walk(entry.path)
                continue
            content = tree.contents[entry.path]
            if isinstance(verdict, Verdict_Change) and verdict.value.filter:
                opened = run.open("config", entry)
                pieces = [opened.push(content[at : at + chunk]) for at in range(0, len(content), chunk)]
                content = b"".join([*pieces, opened.finish()])
            contents[entry.path] = content

    walk("")
    run.finish()
    return MemoryTree(contents)


def answering(answers: dict[tuple[str, ...], tuple[int, bytes, bytes]]) -> mock._patch:
    """Answers commands with a code and two outputs; all others are denied, as without a grant."""

    def run(command) -> Output:
        answer = answers.get(tuple(command.argv))
        if answer is None:
            raise Err(Failure(FailureKind.DENIED, "test.denied", "no grant", None))
        return Output(*answer, truncated=False)

    return mock.patch.object(process, "run", run)


def codes(findings) -> dict[str, str]:
    """The severities of findings, by their codes."""
    return {finding.code.removeprefix("home-assistant."): finding.severity.name.lower() for finding in findings}
