"""The contract's interface `transform`: what becomes of entries, and of bytes.

Copal runs several passes at the same time, and counts on equal outcomes: a verdict or a filter's output may depend on nothing but
the state of the plan, the entry and its bytes.
"""

from wit_world.exports.transform import Direction, Verdict, Verdict_Keep, Verdict_Skip
from wit_world.imports.types import Entry, FailureKind, Finding

from application import DRAFTS, LOCK, failure


class Filter:
    """Would rewrite a file's content; this plugin has none rewritten."""

    def push(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""

    def members(self) -> list:
        return []


class Pass:
    """Leaves out drafts and the lock when they are saved; a restore brings back all that the snapshot holds."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction

    @classmethod
    def start(cls, direction: Direction, state: bytes) -> "Pass":
        return cls(direction)

    def classify(self, root: str, entries: list[Entry]) -> list[Verdict]:
        return [self._verdict(entry) for entry in entries]

    def open(self, root: str, entry: Entry) -> Filter:
        raise failure(FailureKind.INTERNAL, "filter", "no verdict asks for a filter")

    def finish(self) -> list[Finding]:
        return []

    def _verdict(self, entry: Entry) -> Verdict:
        left_out = self._direction is Direction.BACKUP and entry.path in (DRAFTS, LOCK)
        return Verdict_Skip() if left_out else Verdict_Keep()
