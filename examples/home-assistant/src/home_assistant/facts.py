"""What a backup notes for a later restore."""

import json
from dataclasses import asdict, dataclass, fields

from wit_world.imports.plan import Fact
from wit_world.imports.types import FailureKind

from home_assistant import json_text
from home_assistant.failures import failure


@dataclass(frozen=True)
class Facts:
    """The facts; their names are those in the manifest."""

    version: str | None = None
    instanceId: str | None = None  # noqa: N815  The contract wants camelCase.
    history: bool = False

    def noted(self) -> list[Fact]:
        """As they go into a plan."""
        return [Fact(name, json.dumps(value)) for name, value in asdict(self).items()]


def read(facts: list[Fact]) -> Facts:
    """The facts of a snapshot. They come from a repository, which may hold anything."""
    known = {field.name: bool if field.type is bool else str for field in fields(Facts)}
    values = {}
    for fact in facts:
        kind = known.get(fact.name)
        if kind is None:
            continue
        try:
            value = json_text.parse(fact.value)
        except ValueError:
            value = ...
        if value is not None and not isinstance(value, kind):
            raise failure(FailureKind.CORRUPT, "facts", f"the snapshot's fact `{fact.name}` is not what a backup notes")
        values[fact.name] = value
    return Facts(**values)
