"""What an append may expect of a stream."""

from __future__ import annotations

import enum
from typing import Final, TypeAlias


class Revision(enum.Enum):
    """An expectation that is not an exact version."""

    ANY = "any"
    NONE = "none"
    EXISTS = "exists"


ANY: Final = Revision.ANY
"""The stream may be at any version."""

NONE: Final = Revision.NONE
"""The stream has no event yet."""

EXISTS: Final = Revision.EXISTS
"""The stream has at least one event."""

Expected: TypeAlias = Revision | int
"""A `Revision`, or the exact version of the stream's last event (0: no event yet)."""


def meets(expected: Expected, version: int) -> bool:
    """Say whether a stream whose last event has `version` is as expected."""
    if isinstance(expected, int):
        return version == expected
    if expected is NONE:
        return version == 0
    return expected is ANY or version > 0
