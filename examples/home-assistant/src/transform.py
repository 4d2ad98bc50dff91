"""The contract's interface `transform`: what is left out of a backup, and what a clone gets in its place.

Verdicts and filters follow from the plan's state, the entry and its bytes alone. So nothing here asks for the time or for random numbers, and
nothing goes through a `set`, whose order may differ from one build to the next.
"""

from wit_world.exports.transform import Change, Direction, Member, Verdict, Verdict_Change, Verdict_Keep, Verdict_Skip
from wit_world.imports.types import Entry, FailureKind, Finding, Kind

from home_assistant import files, identity, json_text, trees
from home_assistant.failures import failure

_FILTERED = Change(name=None, mode=None, owner=None, modified=None, filter=True)


class Filter:
    """Gives `.storage/core.uuid` another identity. The file is small, so it is rewritten when it is there as a whole."""

    def __init__(self, new: str) -> None:
        self._new = new
        self._content = bytearray()

    def push(self, chunk: bytes) -> bytes:
        self._content += chunk
        if len(self._content) > identity.LARGEST:
            raise failure(FailureKind.CORRUPT, "file.size", f"{trees.ROOT}/{files.INSTANCE} is larger than Home Assistant writes it")
        return b""

    def finish(self) -> bytes:
        return identity.with_identity(bytes(self._content), self._new)

    def members(self) -> list[Member]:
        return []


class Pass:
    """One worker's run over the tree."""

    def __init__(self, history: bool, own_backups: bool, identity: str | None, backup: bool) -> None:
        self._history = history
        self._own_backups = own_backups
        self._identity = identity
        self._backup = backup

    @classmethod
    def start(cls, direction: Direction, state: bytes) -> "Pass":
        try:
            values = json_text.parse(state)
            if direction is Direction.BACKUP:
                return cls(bool(values["history"]), bool(values["own_backups"]), None, backup=True)
            return cls(True, True, values["identity"], backup=False)
        except (ValueError, TypeError, LookupError):
            raise failure(FailureKind.INTERNAL, "state", "the plan's state can't be read") from None

    def classify(self, root: str, entries: list[Entry]) -> list[Verdict]:
        return [self._verdict(entry) for entry in entries]

    def open(self, root: str, entry: Entry) -> Filter:
        if self._identity is None:
            raise failure(FailureKind.INTERNAL, "filter", "no verdict asks for a filter")
        return Filter(self._identity)

    def finish(self) -> list[Finding]:
        return []

    def _verdict(self, entry: Entry) -> Verdict:
        if self._backup:
            directory = entry.kind is Kind.DIRECTORY
            out = files.left_out(entry.path, directory, self._history, self._own_backups)
            return Verdict_Skip() if out else Verdict_Keep()
        if entry.path == files.INSTANCE and self._identity is not None:
            return Verdict_Change(_FILTERED)
        return Verdict_Keep()
