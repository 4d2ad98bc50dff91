"""The identity of an installation: the UUID in `.storage/core.uuid`, as homeassistant/helpers/instance_id.py in core writes it."""

import hashlib
import json
import re
import uuid

from wit_world.imports.tree import Tree
from wit_world.imports.types import FailureKind

from home_assistant import files, json_text, trees
from home_assistant.failures import failure

# The file has some 130 bytes.
LARGEST = 1 << 16

_HEX = re.compile(r"[0-9a-f]{32}")


def of(tree: Tree) -> str | None:
    """The identity of the Home Assistant in a tree; none before its first start."""
    content = trees.read(tree, files.INSTANCE, LARGEST)
    return None if content is None else parse(content)[1]


def parse(content: bytes) -> tuple[dict, str]:
    """The file's document, and the identity in it."""
    try:
        document = json_text.parse(content)
        identity = document["data"]["uuid"]
        known = document["version"] == 1 and _HEX.fullmatch(identity) is not None
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise failure(
            FailureKind.CORRUPT,
            "identity.unreadable",
            f"{trees.ROOT}/{files.INSTANCE} is not what Home Assistant writes",
            "Take the file away: Home Assistant then makes itself a new identity.",
        )
    return document, identity


def with_identity(content: bytes, identity: str) -> bytes:
    """The file's content with another identity."""
    document, _ = parse(content)
    document["data"]["uuid"] = identity
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def for_clone(original: str, place: str, seconds: int) -> str:
    """A new identity. It follows from what it is asked for, so a plan that is made twice within a second is the same; it is random enough all the same."""
    digest = hashlib.sha256(f"{original}\0{place}\0{seconds}".encode()).digest()
    return uuid.UUID(bytes=digest[:16], version=4).hex
