"""From log to state: at start from the newest snapshot, in an audit from the first event.

A snapshot is derived data. It is used only if its digest fits and the log reaches as far as it
does; otherwise recovery starts further back, down to the empty state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.kernel import EMPTY_STATE, TokenAdmitted, restore, snapshot
from toka.runtime._errors import LogDamaged
from toka.runtime._idempotency import AnswerWindow, SavedRecovery
from toka.runtime._log import from_store, pages
from toka.store.core import Snapshot
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.kernel import Kernel, KernelEvent, KernelState
    from toka.store.core import EventStore

SNAPSHOT_NAME: Final = "kernel"

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(SavedRecovery)


@attrs.frozen
class Recovered:
    """What a log amounts to."""

    state: KernelState
    answers: AnswerWindow
    position: int
    replayed: int
    """Events that were read, the ones below the snapshot not counted."""


async def recover(kernel: Kernel, store: EventStore) -> Recovered:
    """Rebuild the state from the newest usable snapshot and the events after it.

    Raises:
        StoreError: The log cannot be read.
        KernelError: An event is of a kind that this version does not know.
    """
    state, answers, position = await _from_snapshot(store)
    replayed = 0
    async for page in pages(store, position):
        for stored in page:
            state = kernel.evolve(state, from_store(stored).event)
            if stored.tags:
                answers.observe(stored)
        answers.retain(state.families)
        position = page[-1].position
        replayed += len(page)
    return Recovered(state, answers, position, replayed)


async def _from_snapshot(store: EventStore) -> tuple[KernelState, AnswerWindow, int]:
    head = await store.head()
    saved = await store.load_snapshot(SNAPSHOT_NAME)
    if saved is None or saved.position > head.position:
        return EMPTY_STATE, AnswerWindow(), 0
    try:
        content = _decoder.decode(saved.data)
        return restore(content.kernel), AnswerWindow.load(content.answers), saved.position
    except (msgspec.MsgspecError, TokaError):
        # Written by another version: the log itself is the truth, so read it from the start.
        return EMPTY_STATE, AnswerWindow(), 0


async def save(store: EventStore, state: KernelState, answers: AnswerWindow, position: int) -> None:
    """Write a snapshot of the state after `position`.

    Raises:
        StoreError: It cannot be written.
    """
    data = _encoder.encode(SavedRecovery(kernel=snapshot(state), answers=answers.dump()))
    await store.save_snapshot(
        Snapshot(name=SNAPSHOT_NAME, position=position, data=data, digest=state.digest())
    )


@attrs.frozen
class ReplayReport:
    """What a replay of the whole log found."""

    events: int
    digest: bytes
    """Of the state after the last event."""
    snapshot_checked: int | None
    """Position at which a stored snapshot was held against the replayed state, if there was one."""
    state: KernelState


async def replay(
    kernel: Kernel,
    store: EventStore,
    *,
    verify: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ReplayReport:
    """Recompute the state from the first event.

    Args:
        kernel: With the extension families that the log was written under.
        store: The log; read only.
        verify: Also check the hash chain, that each event's token was admitted before it, and that
            the stored snapshot is what the log says at its position.
        progress: Called with the events read and the total, once a page.

    Raises:
        StoreError: The chain is broken (with the position), or the log cannot be read.
        LogDamaged: An event names a token that the log never admitted, or the snapshot is not what
            the log says.
    """
    if verify:
        (await store.verify()).raise_if_damaged()
    head = await store.head()
    saved = await store.load_snapshot(SNAPSHOT_NAME) if verify else None
    state, admitted, checked = EMPTY_STATE, set[str](), None
    async for page in pages(store, 0, head.position):
        for stored in page:
            logged = from_store(stored)
            if verify:
                _check_token(logged.position, logged.event, admitted)
            state = kernel.evolve(state, logged.event)
            if saved is not None and saved.position == stored.position:
                _check_snapshot(saved, state)
                checked = saved.position
        if progress is not None:
            progress(page[-1].position, head.position)
    return ReplayReport(head.position, state.digest(), checked, state)


def _check_token(position: int, event: KernelEvent, admitted: set[str]) -> None:
    if isinstance(event.body, TokenAdmitted):
        admitted.add(event.body.token)
    if event.token not in admitted:
        raise LogDamaged(
            f"Event {position} ({event.body.kind}) names a token that was never admitted.",
            hint="The log was not written by this runtime; restore it from a backup.",
            details={"position": position, "event": event.id},
        )


def _check_snapshot(saved: Snapshot, state: KernelState) -> None:
    if saved.digest != state.digest():
        raise LogDamaged(
            f"The snapshot at position {saved.position} is not what the log says.",
            hint="Delete the snapshot; the log is whole and the next start rebuilds it.",
            details={"position": saved.position},
        )
