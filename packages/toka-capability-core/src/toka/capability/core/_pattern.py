"""Whether a resource pattern covers a resource, or every resource that another pattern covers.

The pattern is a nondeterministic automaton over segments, run with one bit per state: no
backtracking and no recursion, whatever the pattern; with the bound on wildcards the time is linear
in the length of what is asked. Most patterns are a plain text or end in `/**`; these two are
decided by comparing text.

*Why a pattern may be asked about as if it were a resource.* The other pattern's wildcards are read
as symbols that only a wildcard of this one can consume: no literal contains them. Wherever the
automaton accepts, each of them lies wholly inside a wildcard of at least its reach, so putting any
text in its place is accepted too. The converse does not hold (`*/**` covers what `**/*` covers,
and the answer here is no): sound, not complete.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Kind(Enum):
    EXACT = "no wildcard"
    TREE = "literal segments, then '**'"
    MIXED = "anything else"


class Pattern:
    """A compiled resource pattern."""

    __slots__ = ("_globs", "_kind", "_length", "_literals", "_loops", "head")

    head: str
    """Literal text that everything covered starts with: the cheapest way to say no."""

    def __init__(self, resource: str, segments: tuple[str, ...]) -> None:
        self._kind = _kind(resource)
        self.head = resource.partition("*")[0]
        if self._kind is _Kind.TREE:
            self.head = self.head[:-1]
        self._length = len(segments)
        self._loops = 0
        self._literals: dict[str, int] = {}
        self._globs: list[tuple[int, list[str]]] = []
        if self._kind is _Kind.MIXED:
            self._compile(segments)

    def _compile(self, segments: tuple[str, ...]) -> None:
        for index, segment in enumerate(segments):
            bit = 1 << index
            if segment == "**":
                self._loops |= bit
            elif "*" in segment:
                self._globs.append((bit, segment.split("*")))
            else:
                self._literals[segment] = self._literals.get(segment, 0) | bit

    def covers(self, resource: str, segments: Sequence[str]) -> bool:
        """Say whether everything that `resource` names is covered; it may hold wildcards."""
        if not resource.startswith(self.head):
            return False
        if self._kind is _Kind.EXACT:
            return len(resource) == len(self.head)
        if self._kind is _Kind.TREE:
            return resource[len(self.head) : len(self.head) + 1] in ("", "/")
        return self._run(segments)

    def _run(self, segments: Sequence[str]) -> bool:
        # Bit i is set when the segments so far can be consumed by the first i of the pattern.
        # '**' repeats its own state on any segment, and may also consume none: the shift after
        # the step. The grammar has no two '**' in a row, so one shift closes over all of them.
        loops = self._loops
        states = 1 | (loops & 1) << 1
        for segment in segments:
            states = (states & self._consumers(segment)) << 1 | (states & loops)
            states |= (states & loops) << 1
            if not states:
                return False
        return bool(states >> self._length & 1)

    def _consumers(self, segment: str) -> int:
        if segment == "**":
            return 0
        bits = self._literals.get(segment, 0)
        for bit, parts in self._globs:
            if _glob(parts, segment):
                bits |= bit
        return bits


def _kind(resource: str) -> _Kind:
    if "*" not in resource:
        return _Kind.EXACT
    if resource.endswith("/**") and "*" not in resource[: -len("**")]:
        return _Kind.TREE
    return _Kind.MIXED


def _glob(parts: list[str], text: str) -> bool:
    """Match literal parts with anything between them; leftmost is enough, as the ends are fixed."""
    first, *middle, last = parts
    if len(text) < len(first) + len(last):
        return False
    if not (text.startswith(first) and text.endswith(last)):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
