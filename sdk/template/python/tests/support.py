"""A directory in memory, in the place of the one that Copal hands over."""

from pathlib import Path

from wit_world.imports.types import Entry, Kind, Owner, Timestamp

NOW = Timestamp(1_767_225_600, 0)

_SAMPLE = Path(__file__).parent.parent / "sample"


class MemoryTree:
    """A tree of files, by their paths; it has what the contract's `tree` has."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents

    @classmethod
    def sample(cls, **changes: bytes) -> "MemoryTree":
        """The sample, with some files otherwise."""
        files = (path for path in _SAMPLE.rglob("*") if path.is_file())
        return cls({str(path.relative_to(_SAMPLE)): path.read_bytes() for path in files} | changes)

    def name(self) -> str:
        return "home"

    def location(self) -> str:
        return "/srv/home"

    def stat(self, path: str) -> Entry | None:
        if path in self.contents:
            return self._entry(path, Kind.FILE)
        beneath = any(other.startswith(f"{path}/") for other in self.contents)
        return self._entry(path, Kind.DIRECTORY) if beneath else None

    def list(self, path: str) -> list[Entry]:
        prefix = f"{path}/" if path else ""
        names = {other[len(prefix) :].split("/")[0] for other in self.contents if other.startswith(prefix)}
        return [self.stat(prefix + name) for name in sorted(names)]

    def read(self, path: str, offset: int, length: int) -> bytes:
        return self.contents[path][offset : offset + length]

    def _entry(self, path: str, kind: Kind) -> Entry:
        size = len(self.contents.get(path, b""))
        return Entry(path, kind, size, 0o644, Owner(1000, 1000, "", ""), NOW, None)
