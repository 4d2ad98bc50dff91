"""JSON that comes from files and from a repository, which may hold anything."""

import json
import re
from typing import Any

# What Home Assistant writes has fewer than 20 lists and objects in one another. A component's stack does not hold Python's parser for some thousands, and
# running out of it ends the call.
_DEEPEST = 100

_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def parse(text: str | bytes) -> Any:
    """The value; raises ValueError where it is none, or too deep."""
    if isinstance(text, bytes):
        text = text.decode()
    depth = 0
    for mark in _MARK.finditer(text):
        if mark[0] in "[{":
            depth += 1
        elif mark[0] in "]}":
            depth -= 1
        if depth > _DEEPEST:
            raise ValueError("too deep")
    return json.loads(text)
