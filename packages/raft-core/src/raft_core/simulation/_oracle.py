"""The same question in linear time, where answers say at which position of the log they were true.

The order to look for is then known: it is the log's. What remains is to check that each answer is
the one that the log gives at its position, and that positions agree with time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core.simulation._store import Kind, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from raft_core._entries import Entry
    from raft_core.simulation._linearizability import Operation


def check_positions(history: Iterable[Operation], log: Sequence[Entry]) -> str | None:
    """Return what is wrong with a history, given the log; nothing if all is well.

    `log[i]` is the entry at index i.
    """
    answered = [one for one in history if one.returned is not None]
    return _contradicts_time(answered) or _contradicts_log(answered, log)


def _contradicts_time(answered: Sequence[Operation]) -> str | None:
    """Say whether something answered earlier stands later in the log."""
    returns = sorted(answered, key=lambda one: one.returned or 0)
    latest, position = 0, 0
    for operation in sorted(answered, key=lambda one: one.invoked):
        while (returns[position].returned or 0) < operation.invoked:
            latest = max(latest, returns[position].position or 0)
            position += 1
        own = operation.position
        if own is None:
            return f"{operation} has an answer and no position"
        if own < latest or (own == latest and operation.kind is not Kind.GET):
            return f"{operation} began after the answer to what stands at {latest}"
    return None


def _contradicts_log(answered: Sequence[Operation], log: Sequence[Entry]) -> str | None:
    """Say whether the log gives another answer at the position."""
    store = Store()
    for operation in sorted(answered, key=lambda one: one.position or 0):
        position = operation.position or 0
        if position >= len(log):
            return f"{operation} was answered, but the log ends at {len(log) - 1}"
        while store.applied < position:
            store.apply(log[store.applied + 1])
        if operation.kind is Kind.GET:
            if store.table.get(operation.key, 0) != operation.value:
                return f"{operation}, but the log says {store.table.get(operation.key, 0)} there"
            continue
        answer = store.sessions.get(operation.client)
        if answer is None or answer.index != position or answer.done is not operation.done:
            return f"{operation} was answered, but the log does not hold it there"
    return None
