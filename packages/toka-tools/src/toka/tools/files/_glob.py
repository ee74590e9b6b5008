"""Patterns over relative paths: `*`, `?` and `[...]` within a name, `**` for any number of names.

Matching is a walk with one step back (to the last `**`), as for the wildcards of a shell; its time
is at most the product of the lengths, whatever the pattern.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final

from toka.tools._errors import InvalidArgumentsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_PATTERN_SEGMENTS: Final = 64


class PathPattern:
    """A compiled pattern."""

    __slots__ = ("_segments", "deepest")

    deepest: int | None
    """Names in the longest path that can match, or None if there is no longest."""

    def __init__(self, pattern: str) -> None:
        """Compile `pattern`.

        Raises:
            InvalidArgumentsError: It is absolute, uses `..`, or is too long.
        """
        parts = pattern.split("/")
        if len(parts) > MAX_PATTERN_SEGMENTS or ".." in parts or "" in parts:
            raise InvalidArgumentsError(
                f"{pattern[:80]!r} is not a pattern over relative paths.",
                hint="Write names separated by '/', for example 'src/**/*.py'.",
            )
        self._segments = [_compile(part) for part in parts if part != "."]
        self.deepest = None if None in self._segments else len(self._segments)

    def matches(self, names: Sequence[str]) -> bool:
        """Say whether the path made of `names` matches."""
        segments, at, name = self._segments, 0, 0
        retry: tuple[int, int] | None = None
        while name < len(names):
            segment = segments[at] if at < len(segments) else _never
            if segment is None:
                at += 1
                retry = (at, name)
            elif segment(names[name]):
                at, name = at + 1, name + 1
            elif retry is not None:
                retry = (retry[0], retry[1] + 1)
                at, name = retry
            else:
                return False
        return all(segment is None for segment in segments[at:])


def _never(_: str) -> bool:
    return False


def _compile(segment: str) -> Callable[[str], bool] | None:
    """Return what decides about one name, or None for `**`."""
    if segment == "**":
        return None
    if segment == "*":
        return bool
    if not any(mark in segment for mark in "*?["):
        return segment.__eq__
    if segment.startswith("*.") and not any(mark in segment[1:] for mark in "*?["):
        suffix = segment[1:]
        return lambda name: name.endswith(suffix)
    # fnmatch writes expressions that do not backtrack over several stars.
    match = re.compile(fnmatch.translate(segment)).match
    return lambda name: match(name) is not None
