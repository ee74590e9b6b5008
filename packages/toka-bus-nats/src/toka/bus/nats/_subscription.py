"""A subscriber: a consumer of the JetStream stream, from which items are pulled in batches."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import anyio
import msgspec

import nats.errors
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from toka.bus.core import Gap
from toka.bus.nats._errors import DurableDiffers, UndecodableItem
from toka.bus.nats._subjects import check_name, subject_filter
from toka.bus.nats._trace import trace_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from toka.bus.nats._codec import Codec

T = TypeVar("T")

_BATCH: Final = 64
"""Few, because what is sent and waits here is sent again after `ack_wait`."""

_POLL: Final = 1.0
"""Seconds that one pull waits at the server; how soon a restarted server is asked again."""

ACK_WAIT: Final = 30.0
"""Seconds after which the server sends again what it sent and nobody acknowledged."""

_RETRY: Final = 0.1

_FORGET: Final = 300.0
"""Seconds without a pull after which the server drops a consumer that has no durable name."""


class NatsSubscription(Generic[T]):
    """Iterates over the items of a bus; for one task at a time.

    At least once: an item counts as taken when the next one is asked for, and what was not taken is
    sent again. So after a crash, or a lost connection, some come twice, and those may come late;
    whoever minds compares `id`. The iteration ends when the subscription or its bus is closed.
    """

    def __init__(
        self,
        client: Client,
        codec: Codec[T],
        stream: str,
        config: ConsumerConfig,
        wanted: Callable[[T], bool] | None,
        after: int,
    ) -> None:
        """Begin after a message of the stream; `NatsBus.subscribe` is what callers want."""
        self._client = client
        self._context = JetStreamContext(client)
        self._codec = codec
        self._stream = stream
        self._config = config
        self._wanted = wanted
        self._seen = after
        self._pull: JetStreamContext.PullSubscription | None = None
        self._buffer: deque[Msg] = deque()
        self._taken: list[Msg] = []
        self._traces: list[str] = []
        self._lag = 0
        self._closed = False

    @classmethod
    async def begin(
        cls,
        client: Client,
        codec: Codec[T],
        stream: str,
        kinds: str,
        wanted: Callable[[T], bool] | None,
        durable: str | None,
        ack_wait: float,
    ) -> NatsSubscription[T]:
        """Make or find the consumer.

        Raises:
            InvalidName: A name cannot be part of a subject.
            DurableDiffers: The durable name was made for other kinds.
            TimeoutError: The server did not answer.
        """
        context = JetStreamContext(client)
        state = (await context.stream_info(stream)).state
        config = ConsumerConfig(
            durable_name=None if durable is None else check_name("durable", durable),
            filter_subject=subject_filter(stream, kinds),
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=state.last_seq + 1,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait,
            max_ack_pending=2 * _BATCH,
            inactive_threshold=_FORGET if durable is None else None,
        )
        after = state.last_seq
        if durable is not None:
            try:
                known = await context.consumer_info(stream, durable)
            except js_errors.NotFoundError:
                pass
            else:
                made_for, wanted_now = known.config.filter_subject, config.filter_subject
                if made_for != wanted_now:
                    raise DurableDiffers(durable, str(made_for), str(wanted_now))
                config = known.config
                floor = known.ack_floor.stream_seq if known.ack_floor else 0
                after = max(floor, (config.opt_start_seq or 1) - 1)
        subscription = cls(client, codec, stream, config, wanted, after)
        await subscription._connect()
        return subscription

    async def _connect(self) -> JetStreamContext.PullSubscription:
        """Make the consumer where it is not there, to go on after what was seen."""
        if not self._config.durable_name:
            self._config.opt_start_seq = self._seen + 1
        consumer = await self._context.add_consumer(  # pyright: ignore[reportUnknownMemberType] - **params
            self._stream, self._config
        )
        self._pull = await self._context.pull_subscribe_bind(consumer.name, self._stream)
        return self._pull

    @property
    def lag(self) -> int:
        """Return how many items were not looked at when the server last sent some."""
        return self._lag + len(self._buffer)

    @property
    def trace(self) -> str:
        """Return the `traceparent` of what was handed out last; empty if nobody recorded it.

        It is the parent of what is done with the item: `tracing.span("...", parent=items.trace)`.
        """
        return self._traces[-1] if self._traces else ""

    @property
    def traces(self) -> tuple[str, ...]:
        """Return the `traceparent` of each that `receive` returned last, in the same order."""
        return tuple(self._traces)

    @property
    def closed(self) -> bool:
        """Say whether the subscription was closed."""
        return self._closed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T | Gap:
        await self._acknowledge()
        self._traces = []
        while await self._fill():
            item = await self._next()
            if item is not None:
                return item
            await self._acknowledge()
        raise StopAsyncIteration

    async def receive(self) -> list[T | Gap]:
        """Return all that is there, waiting until there is something; an empty list is the end."""
        await self._acknowledge()
        self._traces = []
        items: list[T | Gap] = []
        while not items and await self._fill():
            while self._buffer:
                item = await self._next()
                if item is not None:
                    items.append(item)
        return items

    async def _next(self) -> T | Gap | None:
        """Return what stands first in the buffer, or None where that is not wanted."""
        message = self._buffer[0]
        sequence = message.metadata.sequence.stream
        if sequence > self._seen + 1:
            missed = await self._missed(sequence)
            if missed:
                self._seen += missed
                self._traces.append("")
                return Gap(missed)
        self._buffer.popleft()
        self._seen = max(self._seen, sequence)
        self._taken.append(message)
        try:
            item = self._codec.decode(message.data)
        except msgspec.DecodeError as error:
            raise UndecodableItem(message.subject, sequence, str(error)) from error
        if self._wanted is not None and not self._wanted(item):
            return None
        self._traces.append(trace_in(message.headers))
        return item

    async def _missed(self, sequence: int) -> int:
        """Count the messages between what was seen and `sequence` that the stream has dropped.

        Those that it still has were of kinds that this subscriber does not want.
        """
        state = (await self._context.stream_info(self._stream)).state
        return max(0, min(state.first_seq, sequence) - self._seen - 1)

    async def _acknowledge(self) -> None:
        taken, self._taken = self._taken, []
        for message in taken:
            if not (self._closed or self._client.is_closed):
                await message.ack()

    async def _fill(self) -> bool:
        """Wait until the buffer holds something; return whether it does, or else all has ended."""
        while not self._buffer:
            if self._closed or self._client.is_closed:
                return False
            await self._fetch()
        return True

    async def _fetch(self) -> None:
        try:
            pull = self._pull or await self._connect()
            messages = await pull.fetch(_BATCH, timeout=_POLL)
        except TimeoutError:
            self._lag = 0
        except (js_errors.APIError, nats.errors.NoRespondersError):
            # The consumer, or the server that had it, is gone: go on with a new one.
            await self._forget()
            await anyio.sleep(_RETRY)
        else:
            self._buffer.extend(messages)
            self._lag = messages[-1].metadata.num_pending

    async def _forget(self) -> None:
        pull, self._pull = self._pull, None
        if pull is not None:
            await pull.unsubscribe()

    async def aclose(self) -> None:
        """End the iteration; a durable name keeps its place. Closing again does nothing."""
        if self._closed:
            return
        await self._acknowledge()
        self._closed = True
        if not self._client.is_closed:
            for message in self._buffer:
                await message.nak()  # so that a durable name gets it again at once
            await self._forget()
        self._buffer.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
