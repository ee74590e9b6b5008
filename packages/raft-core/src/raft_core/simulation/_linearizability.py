"""Is there an order in which one copy of the data would have given these answers?

A history is linearizable if its operations can be put in an order that respects time - what
returned before another was invoked comes first - and in which each gives the answer it gave
(Herlihy and Wing, 1990). The search is that of Wing and Gong (1993) with the memory of Lowe (2017):
take any operation that nothing unfinished precedes, undo it if that leads nowhere, and never look
at the same set of operations in the same state twice. Keys are independent, so each is searched
alone: locality makes an exponential search a small one.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

import attrs

from raft_core.simulation._store import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: After so many steps the search for one key gives up. It never takes that for a yes.
STEP_LIMIT: Final = 5_000_000


class Verdict(Enum):
    """What is known about a history."""

    LINEARIZABLE = "linearizable"
    VIOLATION = "violation"
    UNKNOWN = "unknown"
    """The search gave up."""


@attrs.define(kw_only=True)
class Operation:
    """What one client did with one key. What is not there reads as 0."""

    client: int
    kind: Kind
    key: int
    value: int = 0
    """What a write writes, or what a read has read."""
    expected: int = 0
    """What a swap hopes to find."""
    done: bool = True
    """Whether a swap found it."""
    invoked: int
    returned: int | None = None
    """When it was answered. Without answer it may have happened at any time since, or never."""
    position: int | None = None
    """Where in the log it was done; for a read, up to where the log was read."""


def check_history(history: Iterable[Operation], *, step_limit: int = STEP_LIMIT) -> Verdict:
    """Say whether a history of a key-value store is linearizable."""
    keys: dict[int, list[Operation]] = {}
    for operation in history:
        keys.setdefault(operation.key, []).append(operation)
    verdict = Verdict.LINEARIZABLE
    for operations in keys.values():
        one = _search(operations, step_limit)
        if one is Verdict.VIOLATION:
            return one
        if one is Verdict.UNKNOWN:
            verdict = one
    return verdict


class _Event:
    """A call or a return, in a doubly linked list from which both can be lifted and put back."""

    __slots__ = ("after", "before", "bit", "operation", "returns")

    def __init__(self, operation: Operation, bit: int) -> None:
        self.operation = operation
        self.bit = bit
        self.returns: _Event | None = None
        self.before: _Event | None = None
        self.after: _Event | None = None


def _apply(state: int, operation: Operation) -> int | None:
    """Return the state after an operation; nothing if it cannot have given its answer."""
    if operation.kind is Kind.PUT:
        return operation.value
    unanswered = operation.returned is None
    if operation.kind is Kind.GET:
        return state if unanswered or operation.value == state else None
    found = state == operation.expected
    if not unanswered and found is not operation.done:
        return None
    return operation.value if found else state


def _events(operations: Sequence[Operation]) -> tuple[_Event, int]:
    """Return the head of the list of events, and the bits of all that were answered."""
    timeline: list[tuple[int, int, _Event]] = []
    answered = 0
    for position, operation in enumerate(operations):
        call = _Event(operation, 1 << position)
        back = call.returns = _Event(operation, 0)
        timeline.append((operation.invoked, 0, call))
        if operation.returned is not None:
            answered |= call.bit
            timeline.append((operation.returned, 1, back))
    timeline.sort(key=lambda moment: moment[:2])
    head = previous = _Event(operations[0], 0)
    for _, _, event in timeline:
        previous.after, event.before = event, previous
        previous = event
    return head, answered


def _lift(call: _Event) -> None:
    for event in (call, call.returns):
        if event is not None and event.before is not None:
            event.before.after = event.after
            if event.after is not None:
                event.after.before = event.before


def _put_back(call: _Event) -> None:
    for event in (call.returns, call):
        if event is not None and event.before is not None:
            event.before.after = event
            if event.after is not None:
                event.after.before = event


def _search(operations: Sequence[Operation], step_limit: int) -> Verdict:
    # What was never answered and changes nothing constrains nothing.
    operations = [one for one in operations if one.returned is not None or one.kind is not Kind.GET]
    if not operations:
        return Verdict.LINEARIZABLE
    head, answered = _events(operations)
    taken, state = 0, 0
    path: list[tuple[_Event, int]] = []
    seen = {(0, 0)}
    event = head.after
    for _ in range(step_limit):
        if taken & answered == answered:
            return Verdict.LINEARIZABLE
        if event is not None and event.bit:
            after = _apply(state, event.operation)
            if after is not None and (taken | event.bit, after) not in seen:
                taken |= event.bit
                seen.add((taken, after))
                path.append((event, state))
                state = after
                _lift(event)
                event = head.after
            else:
                event = event.after
            continue
        # A return: whatever is taken next must come before it, and nothing was left to take.
        if not path:
            return Verdict.VIOLATION
        event, state = path.pop()
        taken ^= event.bit
        _put_back(event)
        event = event.after
    return Verdict.UNKNOWN
