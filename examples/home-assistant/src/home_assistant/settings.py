"""What an operator can set."""

import re
from dataclasses import dataclass

from wit_world.imports.types import FailureKind

from home_assistant import json_text
from home_assistant.failures import failure

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "container": {
            "type": "string",
            "description": "The name of the Docker container that Home Assistant runs in. It is stopped while its files are read or replaced.",
        },
        "stopped": {
            "type": "boolean",
            "default": False,
            "description": "You have stopped Home Assistant yourself, and answer for it.",
        },
        "history": {
            "type": "boolean",
            "default": True,
            "description": "Whether the recorder's database is saved, which holds the history of all states.",
        },
        "own_backups": {
            "type": "boolean",
            "default": False,
            "description": "Whether the archives are saved that Home Assistant has made itself.",
        },
    },
}

# As Docker allows them, and no option of the program that the name is handed to.
_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True)
class Settings:
    """The configuration, checked."""

    container: str | None = None
    stopped: bool = False
    history: bool = True
    own_backups: bool = False


def parse(text: str) -> Settings:
    """Reads a configuration, and names the key that does not fit."""
    try:
        values = json_text.parse(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise failure(FailureKind.INVALID_CONFIG, "config", "the configuration is not a JSON object")
    for key, value in values.items():
        rule = SCHEMA["properties"].get(key)
        if rule is None:
            raise _unfit(key, "there is no such setting")
        if not isinstance(value, {"string": str, "boolean": bool}[rule["type"]]):
            raise _unfit(key, f"it must be a {rule['type']}")
    settings = Settings(**values)
    if settings.container is not None and not _CONTAINER.fullmatch(settings.container):
        raise _unfit("container", "it can't be the name of a container")
    return settings


def _unfit(key: str, why: str) -> Exception:
    return failure(
        FailureKind.INVALID_CONFIG,
        "config",
        f"the setting `{key}` does not fit: {why}",
        "`copal plugin info` shows the settings.",
    )
