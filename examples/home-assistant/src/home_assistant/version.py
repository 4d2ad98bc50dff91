"""Home Assistant's versions: year, month and number, such as `2025.11.2`, with `b3` or `.dev…` before a release."""

import re

_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:(b|\.dev)(\d{1,12}))?")

# A development version comes before the betas, and these before the release.
_STAGES = {".dev": 0, "b": 1, None: 2}

Version = tuple[int, int, int, int, int]


def parse(text: str) -> Version | None:
    """What orders versions; none where it is not one."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    year, month, number, stage, counter = match.groups()
    return int(year), int(month), int(number or 0), _STAGES[stage], int(counter or 0)
