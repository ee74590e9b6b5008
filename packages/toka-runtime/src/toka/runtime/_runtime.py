"""The host of the kernel: one pipeline from a message to a committed, published event.

    authenticate -> decide -> evolve -> append -> acknowledge -> publish

Rules of this module:

* Everything up to the append happens without awaiting, so decisions are made one after another,
  each on the state that the one before it left, though that one is not on disk yet. The store
  commits in the order of the calls and makes one group commit of what waits.
* Nothing is acknowledged, published or visible in `state` before it is on disk.
* If a commit fails, what was decided on top of it never happened: the state goes back to the last
  committed one (it is persistent, so the old one is still there), every waiting submission fails,
  and so does every later one until the log is opened again. Which of several in-flight commits a
  disk kept after an error is not knowable from here, only on recovery.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from toka.bus.core import Bus, Gap
from toka.kernel import Kernel, KernelEvent, Rejection
from toka.runtime._errors import LogFailed, Overloaded, Rejected, RuntimeClosed
from toka.runtime._idempotency import Answer, is_own, tag_of
from toka.runtime._identifiers import UlidSource
from toka.runtime._log import Logged, from_store, pages, to_store
from toka.runtime._outcomes import untrue
from toka.runtime._recovery import Recovered, recover, save
from toka.runtime._tracing import NO_TRACING, tags_of
from toka.store.core import StoreBusy, StoreError
from toka.types import CopyStep, Message, OpenHost, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence

    from toka.auth import Authenticator
    from toka.capability.core import Claims
    from toka.kernel import KernelState
    from toka.runtime._tracing import Tracing
    from toka.store.core import EventStore, NewEvent
    from toka.types import AgentId, Clock

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT: Final = 10_000
"""Submissions that may wait for the log before further ones are refused."""

_BUSY_SECONDS: Final = 0.01
"""How long to leave a store alone whose queue is full."""

SNAPSHOT_EVERY: Final = 50_000
"""Events between snapshots; at 100,000 replayed events a second, recovery takes half a second."""


@attrs.frozen
class Receipt:
    """The answer to a submission: what was decided, and that it is on disk."""

    events: tuple[KernelEvent, ...]
    position: int
    """Of the last of these events in the log."""
    is_repeated: bool = attrs.field(default=False, eq=False)
    """Whether it was given before, under the same key: what has happened since is not in it."""


@attrs.frozen
class _Name:
    """A request with a key, and which events of a commit are its answer."""

    subject: str
    key: str
    index: int
    count: int

    def is_own(self, events: tuple[KernelEvent, ...], state: KernelState) -> bool:
        """Say whether an agent asked this of its own family, given the commit and what it left."""
        last = events[self.index + self.count - 1]
        return is_own(self.subject, last.stream, state.families)


@attrs.define(eq=False)
class _Commit:
    """A decision on its way to disk."""

    first: int
    events: tuple[KernelEvent, ...]
    state: KernelState
    names: tuple[_Name, ...] = ()
    """Of the requests that this answers, those that have a key."""
    trace: str = ""


@attrs.define(eq=False)
class _Pending:
    """An answer that is being given, for a second request under the same key to wait for."""

    finished: anyio.Event = attrs.field(factory=anyio.Event)


class Runtime:
    """Accepts messages, and makes of them what the kernel decides. Use `open_runtime` to get one.

    Attributes:
        store: The log. Read from it freely; only the runtime appends.
        clock: Of this host.
        holder: Names this host in leases and in refusals to others.
        tracing: Follows what is done here and above; nobody does by default.
    """

    def __init__(
        self,
        store: EventStore,
        authenticator: Authenticator,
        kernel: Kernel,
        clock: Clock,
        recovered: Recovered,
        holder: str,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.store = store
        self.clock = clock
        self.holder = holder
        self.tracing = tracing
        self._authenticator = authenticator
        self._kernel = kernel
        self._ids = UlidSource(clock)
        self._bus: Bus[Logged] = Bus()
        self._committed = recovered.state
        self._decided = recovered.state
        self._position = recovered.position
        self._next = recovered.position
        self._answers = recovered.answers
        self._answering: dict[tuple[str, str], _Pending] = {}
        self._commits: deque[_Commit] = deque()
        self._watchers: dict[str, tuple[Callable[[Logged], None], ...]] = {}
        self._failure: _LogFailure | None = None
        self._snapshot_at = recovered.position
        self._closed = False

    @property
    def state(self) -> KernelState:
        """What the committed log amounts to."""
        return self._committed

    @property
    def position(self) -> int:
        """Position of the last committed event."""
        return self._position

    @property
    def in_flight(self) -> int:
        """Submissions that wait for the log; at most `MAX_IN_FLIGHT`."""
        return len(self._commits)

    def authorize(self, message: Message) -> None:
        """Make the decision on a message and drop it: nothing is recorded.

        For effects whose events are written only with their outcome; the kernel decides again then.
        Asking is no act: a rate that the token states counts the submission.

        Raises:
            AuthenticationError: The token is not good.
            Rejected: The kernel would refuse the message.
        """
        claims = self._authenticator.identify(message.token)
        rejection = self._kernel.authorize(
            self._decided, message.operation, claims, self.clock.now()
        )
        if rejection is not None:
            raise Rejected(rejection)

    async def submit(
        self, message: Message, *, at_door: bool = False, tags: tuple[str, ...] = ()
    ) -> Receipt:
        """Decide on a message and return once the decision is on disk.

        Cancelling the caller does not undo a decision that was made; it is waited for.

        Args:
            message: What to decide on.
            at_door: Whoever received the message has authenticated its token: checked the proof of
                the token's holder and counted the act. Only whether the token is good is asked
                again, so that a rate counts one act once.
            tags: What the events can be found by in the log, besides what they are.

        Raises:
            AuthenticationError: The token is not good.
            Rejected: The kernel refused; nothing was changed.
            CanonicalEncodingError: A text is not in normalisation form C; nothing was changed.
            Overloaded: Too many submissions wait.
            LogFailed: The log could not be written; the decision is not acknowledged.
            RuntimeClosed: The runtime was closed.
        """
        self._check_open()
        known = self._authenticator.identify if at_door else self._authenticator.authenticate
        claims = known(message.token)
        if not message.idempotency_key:
            await self._attest(message, claims)
            return await self._commit(*self._decide(message, claims), tags=tags)
        return await self._submit_once(message, claims, tags)

    async def submit_all(self, messages: Sequence[Message]) -> Receipt:
        """Decide on messages, each on the state that the one before it left, in one commit.

        All are accepted or none is. One that was answered before under its key is left out.

        Args:
            messages: At least one; the events of all are in the receipt.

        Raises:
            AuthenticationError: A token is not good.
            Rejected: The kernel refused one; nothing was changed.
            CanonicalEncodingError: A text is not in normalisation form C; nothing was changed.
            Overloaded: Too many submissions wait.
            LogFailed: The log could not be written; the decisions are not acknowledged.
            RuntimeClosed: The runtime was closed.
        """
        self._check_open()
        claims = [self._authenticator.authenticate(message.token) for message in messages]
        for message, each in zip(messages, claims, strict=True):
            await self._attest(message, each)
        asked = [(message, each) for message, each in zip(messages, claims, strict=True)]
        keys = [(each.subject, message.idempotency_key) for message, each in asked]
        for key in keys:
            while (pending := self._answering.get(key)) is not None:
                await pending.finished.wait()
        self._check_open()
        before, events, names = self._decided, list[KernelEvent](), list[_Name]()
        try:
            for (message, each), key in zip(asked, keys, strict=True):
                if key[1] and self._answers.find(*key) is not None:
                    continue
                decided, self._decided = self._decide(message, each)
                if key[1]:
                    names.append(_Name(*key, len(events), len(decided)))
                events += decided
            state = self._decided
        finally:
            self._decided = before
        if not events:
            return Receipt((), self._position)
        return await self._commit(tuple(events), state, tuple(names))

    async def _attest(self, message: Message, claims: Claims) -> None:
        """Hold what a copy says of an earlier event against the log, which the kernel cannot."""
        if isinstance(message.operation, CopyStep):
            rejection = await untrue(self.store, self._decided, message.operation, claims)
            if rejection is not None:
                raise Rejected(rejection)
            self._check_open()

    async def _submit_once(
        self, message: Message, claims: Claims, tags: tuple[str, ...]
    ) -> Receipt:
        name = (claims.subject, message.idempotency_key)
        while (pending := self._answering.get(name)) is not None:
            await pending.finished.wait()
            self._check_open()
        answer = self._answers.find(*name)
        if answer is not None:
            return await self._read_answer(answer)
        self._answering[name] = pending = _Pending()
        try:
            await self._attest(message, claims)
            events, state = self._decide(message, claims)
            return await self._commit(events, state, (_Name(*name, 0, len(events)),), tags)
        finally:
            del self._answering[name]
            pending.finished.set()

    async def _read_answer(self, answer: Answer) -> Receipt:
        stored = await self.store.read_page(answer.first - 1, answer.count)
        events = tuple(from_store(event).event for event in stored)
        return Receipt(events, answer.first + answer.count - 1, is_repeated=True)

    def _decide(
        self, message: Message, claims: Claims
    ) -> tuple[tuple[KernelEvent, ...], KernelState]:
        if len(self._commits) >= MAX_IN_FLIGHT:
            raise Overloaded(
                f"{MAX_IN_FLIGHT} submissions wait for the log already.",
                hint="Wait for some of yours to return, then try again.",
            )
        decision = self._kernel.decide(
            self._decided, message.operation, claims, self.clock.now(), self._ids
        )
        if isinstance(decision, Rejection):
            raise Rejected(decision)
        state = self._decided
        for event in decision:
            state = self._kernel.evolve(state, event)
        return decision, state

    async def _commit(
        self,
        events: tuple[KernelEvent, ...],
        state: KernelState,
        names: tuple[_Name, ...] = (),
        tags: tuple[str, ...] = (),
    ) -> Receipt:
        # Encoded first: text that has no canonical form is found here, while nothing has changed.
        trace = self.tracing.current
        tags += tags_of(trace)
        batch = [to_store(event, tags) for event in events]
        for name in names:
            own = name.is_own(events, state)
            tag = tag_of(name.subject, name.key, name.count, own=own)
            batch[name.index] = attrs.evolve(batch[name.index], tags=(tag, *tags))
        before, commit = self._decided, _Commit(self._next + 1, events, state, names, trace)
        self._commits.append(commit)
        self._decided = state
        self._next += len(events)
        try:
            await self._append(batch, commit.first - 1)
        except StoreBusy as busy:
            # Raised before the store first suspends, so nothing was decided on top of this.
            self._commits.pop()
            self._decided = before
            self._next -= len(events)
            raise Overloaded(busy.message, hint=busy.hint) from busy
        except anyio.get_cancelled_exc_class():
            # The append happens all the same, and `state` must follow it. A shield around every
            # append would cost each step 8 us of the 50 that the loop spends on it.
            with anyio.CancelScope(shield=True):
                await self._append_again(batch, commit.first - 1)
            self._acknowledge(commit)
            raise
        self._acknowledge(commit)
        await self._save_if_due()
        return Receipt(events, commit.first + len(events) - 1)

    async def _append(self, batch: list[NewEvent], head: int) -> None:
        try:
            await self.store.append(batch, head=head)
        except StoreBusy:
            raise
        except StoreError as error:
            self._fail(error)
            raise self._log_failed() from error

    async def _append_again(self, batch: list[NewEvent], head: int) -> None:
        """Learn how an append ended that is under way: a repetition gets the first one's answer."""
        while True:
            try:
                return await self._append(batch, head)
            except StoreBusy:
                await anyio.sleep(_BUSY_SECONDS)

    def _acknowledge(self, commit: _Commit) -> None:
        """Make a commit visible, and with it all before it: the log has no gaps.

        The caller of an earlier one may still be waiting, if it was cancelled meanwhile.
        """
        while self._commits and self._commits[0].first <= commit.first:
            first = self._commits.popleft()
            count = len(first.events)
            self._committed = first.state
            self._position = first.first + count - 1
            for name in first.names:
                answer = Answer(first.first + name.index, name.count)
                own = name.is_own(first.events, first.state)
                self._answers.remember(name.subject, name.key, answer, own=own)
            for event in first.events:
                self._answers.forget(event.stream, first.state.families)
            if not self._closed:
                self._publish(
                    [
                        Logged(first.first + index, event, first.trace)
                        for index, event in enumerate(first.events)
                    ]
                )

    def _publish(self, events: list[Logged]) -> None:
        self._bus.publish(events)
        for logged in events:
            for look in self._watchers.get(logged.event.intent, ()):
                look(logged)

    def _fail(self, error: StoreError) -> None:
        if self._failure is None:
            logger.error("The log failed; nothing more is acknowledged: %s", error)
            self._failure = _LogFailure(error.code, error.message)
        self._decided = self._committed
        self._commits.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeClosed("The runtime was closed.", hint="Open the data directory again.")
        if self._failure is not None:
            raise self._log_failed()

    def _log_failed(self) -> LogFailed:
        failure = self._failure
        code, text = (failure.code, failure.message) if failure else ("", "")
        return LogFailed(
            f"The log could not be written: {text}",
            hint="Nothing was acknowledged. Mend the cause and open the data directory again.",
            details={"cause": code},
        )

    async def _save_if_due(self) -> None:
        if self._position - self._snapshot_at >= SNAPSHOT_EVERY and not self._commits:
            # Shielded: whoever is cancelled here has been acknowledged and must hear of it.
            with anyio.CancelScope(shield=True):
                await self._save()

    async def _save(self) -> None:
        state, position = self._committed, self._position
        self._snapshot_at = position
        try:
            await save(self.store, state, self._answers, position)
        except StoreError as error:
            # A snapshot only saves time at the next start; the log has everything.
            logger.warning("No snapshot was written at position %d: %s", position, error)

    async def subscribe(self, after: int = 0) -> AsyncIterator[Logged]:
        """Yield every committed event after a position, then every new one as it is committed.

        No event is left out or repeated: a subscriber too slow for the bus catches up from the
        log. The iterator ends when the runtime is closed.
        """
        with self._bus.subscribe() as live:
            position = after
            while not self._closed:
                # The log may be ahead of `state`; what is beyond it is published in a moment.
                async for page in pages(self.store, position, self._position):
                    for stored in page:
                        position = stored.position
                        yield from_store(stored)
                async for item in live:
                    if isinstance(item, Gap) or item.position > position + 1:
                        break
                    if item.position == position + 1:
                        position = item.position
                        yield item
                else:
                    return

    @contextmanager
    def watch(self, intent: str, look: Callable[[Logged], None]) -> Generator[None]:
        """Call a function with every event of an intent, as it is committed.

        It costs the events of other intents nothing, and must neither block nor raise.
        """
        self._watchers[intent] = (*self._watchers.get(intent, ()), look)
        try:
            yield
        finally:
            left = tuple([each for each in self._watchers[intent] if each is not look])
            if left:
                self._watchers[intent] = left
            else:
                del self._watchers[intent]

    async def read_stream(self, agent: AgentId) -> AsyncIterator[KernelEvent]:
        """Yield the committed events of an agent, oldest first."""
        async for stored in self.store.read_stream(agent):
            yield from_store(stored).event

    async def aclose(self) -> None:
        """Save a snapshot and stop accepting messages. The store stays open; its opener closes it.

        Raises:
            Nothing: A snapshot that cannot be written is logged.
        """
        if self._closed:
            return
        self._closed = True
        if self._failure is None and self._position > self._snapshot_at:
            await self._save()
        self._bus.close()


@attrs.frozen
class _LogFailure:
    """Why the log failed, as text: the exception itself would keep its frames alive."""

    code: str
    message: str


def holder_name() -> str:
    """Return a name for this process: host and process id, for a person to find it by."""
    return f"{socket.gethostname()}:{os.getpid()}"


@asynccontextmanager
async def open_runtime(
    store: EventStore,
    authenticator: Authenticator,
    credential: str,
    *,
    kernel: Kernel | None = None,
    clock: Clock | None = None,
    holder: str = "",
    tracing: Tracing = NO_TRACING,
) -> AsyncGenerator[Runtime, None]:
    """Recover from a log, become its host, and close on leaving.

    Args:
        store: Opened for writing. It stays open afterwards.
        authenticator: Decides which tokens are good.
        credential: A token that may host: `runtime:host:VAULT`.
        kernel: With its extension families; a plain one by default.
        clock: The system's by default.
        holder: Name of this host in leases; host name and process id by default.
        tracing: Follows what is done; nobody does by default.

    Raises:
        AuthenticationError: The credential is not good.
        Rejected: The credential may not host.
        StoreError: The log cannot be read or written.
        KernelError: An event is of a kind that this version does not know.
    """
    kernel = kernel or Kernel()
    recovered = await recover(kernel, store)
    holder, clock = holder or holder_name(), clock or SystemClock()
    runtime = Runtime(store, authenticator, kernel, clock, recovered, holder, tracing)
    await runtime.submit(Message(credential, OpenHost(runtime.holder)))
    try:
        yield runtime
    finally:
        with anyio.CancelScope(shield=True):
            await runtime.aclose()
