"""Broadcast between processes, on a stream of NATS JetStream.

The words are those of `toka.bus.core`; what differs follows from the network. Publishing waits for
the server's acknowledgement. An item's identifier is the message's `Nats-Msg-Id`, so one that is
published again within the stream's window of duplicates is stored once. The stream keeps the newest
items within its bounds; a subscriber that was slower is told how many it missed. Like any bus, it
does not hold the truth: whoever missed something reads it from the log.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import anyio

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from toka.bus.core import BusClosed
from toka.bus.nats._codec import Codec, Publishable
from toka.bus.nats._errors import BusUnavailable, PublishRefused
from toka.bus.nats._subjects import check_name, subject_of
from toka.bus.nats._subscription import ACK_WAIT, NatsSubscription
from toka.bus.nats._trace import Traced, headers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType
    from typing import Self, TypeAlias

    from nats.js.api import PubAck

    _Message: TypeAlias = tuple[str, str, bytes, dict[str, str]]
    """The identifier of an item, its subject, its bytes and what is told of its trace."""

T = TypeVar("T", bound=Publishable)

PATIENCE: Final = 30.0
"""Seconds that publishing and opening go on trying while no server answers."""

MAX_BYTES: Final = 1024 * 1024 * 1024

_WINDOW: Final = 256
"""Items on their way at once. One at a time costs a round trip each."""

_ANSWER: Final = 2.0
"""Seconds to wait for acknowledgements before the rest is sent again."""

_RETRY: Final = 0.1

_PASSING: Final = (js_errors.NoStreamResponseError, js_errors.ServiceUnavailableError)
"""What a server answers while JetStream starts or looks for a leader."""

logger = logging.getLogger(__name__)


class NatsBus(Generic[T]):
    """Carries items from whoever publishes, in any process, to all who subscribe.

    Open one with `NatsBus.open`, as an asynchronous context manager or closed with `aclose`. It
    works on asyncio. A lost connection is made again for as long as the bus is open.
    """

    def __init__(
        self,
        client: Client,
        stream: str,
        codec: Codec[T],
        patience: float,
        tracing: Traced | None = None,
    ) -> None:
        """Use a connection; `NatsBus.open` is what callers want."""
        self._client = client
        self._context = JetStreamContext(client)
        self._stream = stream
        self._codec = codec
        self._patience = patience
        self._tracing = tracing
        self._closed = False
        self._awaited: set[asyncio.Future[PubAck]] = set()

    @classmethod
    async def open(
        cls,
        servers: str | Sequence[str],
        item_type: type[T],
        *,
        stream: str = "toka",
        max_bytes: int = MAX_BYTES,
        max_items: int | None = None,
        duplicate_window: float = 120.0,
        patience: float = PATIENCE,
        credentials: str | None = None,
        tracing: Traced | None = None,
    ) -> NatsBus[T]:
        """Connect, and make the stream if there is none.

        Args:
            servers: As in `nats://127.0.0.1:4222`; `tls://` for TLS.
            item_type: The class of all items: attrs, dataclass or msgspec, with `id` and `kind`.
            stream: The name of the JetStream stream, and the first segment of its subjects.
            max_bytes: What the stream keeps; the oldest items give way.
            max_items: How many items it keeps; no bound of its own, if None.
            duplicate_window: For how many seconds the server knows an item again; not less than
                twice the patience, or a retry could store an item twice.
            patience: Seconds to go on trying while no server answers.
            credentials: The path of a credentials file of NATS.
            tracing: What knows the open span, which is told along with what is published. Without
                it no trace is.

        Raises:
            InvalidName: The stream's name cannot be part of a subject.
            BusUnavailable: No server answered.
            ValueError: The window of duplicates is shorter than twice the patience.
        """
        if duplicate_window < 2 * patience:
            raise ValueError("duplicate_window must be at least twice patience.")
        config = StreamConfig(
            name=check_name("stream", stream),
            subjects=[f"{stream}.>"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            storage=StorageType.FILE,
            max_bytes=max_bytes,
            max_msgs=-1 if max_items is None else max_items,
            duplicate_window=duplicate_window,
        )
        bus = cls(Client(), stream, Codec(item_type), patience, tracing)
        try:
            with anyio.fail_after(patience):
                await bus._connect([servers] if isinstance(servers, str) else servers, credentials)
                await bus._make_stream(config)
        except TimeoutError as error:
            await bus.aclose()
            raise BusUnavailable("opening the bus", patience) from error
        return bus

    async def _connect(self, servers: Sequence[str], credentials: str | None) -> None:
        await self._client.connect(
            list(servers),
            error_cb=_log_error,
            disconnected_cb=self._give_up_waiting,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RETRY,  # type: ignore[arg-type] # it is slept for
            user_credentials=credentials,
        )

    async def _give_up_waiting(self) -> None:
        """Acknowledgements do not come on another connection than the one they were asked on."""
        for answer in self._awaited:
            answer.cancel()

    async def _make_stream(self, config: StreamConfig) -> None:
        """Make the stream, or find that it is there; wait where JetStream is only starting."""
        while True:
            try:
                await self._context.add_stream(config)  # pyright: ignore[reportUnknownMemberType] - **params
            except js_errors.BadRequestError:
                # It is there with other limits: those of its operator are the ones that count.
                return
            except (*_PASSING, nats.errors.NoRespondersError, nats.errors.TimeoutError):
                await anyio.sleep(_RETRY)
            else:
                return

    async def publish(self, items: Iterable[T]) -> None:
        """Hand items to the server, in order, and return when it has stored them all.

        After a lost connection an item that was not acknowledged is sent again; it can then come
        after later ones of the same call.

        Raises:
            BusClosed: The bus was closed.
            InvalidName: An item's kind cannot be part of a subject; nothing was sent.
            PublishRefused: The server does not take an item. Those before it are stored, of those
                after it any may be.
            BusUnavailable: No server answered for as long as the bus is patient.
        """
        if self._closed:
            raise BusClosed
        trace = headers_of(self._tracing)
        messages = [
            (item.id, subject_of(self._stream, item.kind), self._codec.encode(item), trace)
            for item in items
        ]
        for start in range(0, len(messages), _WINDOW):
            await self._deliver(messages[start : start + _WINDOW], start)

    async def _deliver(self, messages: list[_Message], before: int) -> None:
        """Send until everything is acknowledged; `before` counts what earlier windows stored."""
        total, deadline = len(messages), anyio.current_time() + self._patience
        while messages:
            left = deadline - anyio.current_time()
            if left <= 0:
                stored = before + total - len(messages)
                raise BusUnavailable("publishing", self._patience, stored)
            messages = await self._send(messages, min(left, _ANSWER))
            if messages:
                await anyio.sleep(_RETRY)

    async def _send(self, messages: list[_Message], seconds: float) -> list[_Message]:
        """Send each message once and return those that nobody acknowledged in time."""
        acknowledgements: list[asyncio.Future[PubAck]] = []
        try:
            for item_id, subject, data, trace in messages:
                headers = {"Nats-Msg-Id": item_id, **trace}
                acknowledgements.append(
                    await self._context.publish_async(  # pyright: ignore[reportUnknownMemberType] - Dict
                        subject, data, headers=headers, stream=self._stream
                    )
                )
            self._awaited.update(acknowledgements)
            await asyncio.wait(acknowledgements, timeout=seconds)
        except nats.errors.MaxPayloadError as error:
            item_id = messages[len(acknowledgements)][0]
            raise PublishRefused(item_id, "it is larger than max_payload") from error
        except (nats.errors.OutboundBufferLimitError, nats.errors.ConnectionReconnectingError):
            logger.info("Waiting for a connection to publish on")
        finally:
            self._awaited.difference_update(acknowledgements)
            lost = [not _stored(each) for each in acknowledgements]
        for (item_id, *_), answer in zip(messages, acknowledgements, strict=False):
            _raise_refusal(item_id, answer)
        sent = len(acknowledgements)
        unacknowledged = [each for each, gone in zip(messages, lost, strict=False) if gone]
        return unacknowledged + messages[sent:]

    async def subscribe(
        self,
        kinds: str = "",
        *,
        stream: str = "",
        filter: Callable[[T], bool] | None = None,  # noqa: A002 - what it is called anywhere
        durable: str | None = None,
        ack_wait: float = ACK_WAIT,
    ) -> NatsSubscription[T]:
        """Return an iterator over what is published from now on.

        Args:
            kinds: A whole kind, or a prefix that ends with a dot; the server sends nothing else.
            stream: The `stream` of items; all, if empty. Like `filter` it is looked at here, when
                the server has sent an item.
            filter: Says which of those items are wanted.
            durable: A name under which the server remembers how far this subscriber came, also
                while it is away; the same name goes on there. Two that use one name at a time share
                the items.
            ack_wait: After how many seconds the server sends again what was not taken; longer than
                a subscriber needs for 64 items. A durable name keeps what it was made with.

        Raises:
            BusClosed: The bus was closed.
            InvalidName: A name cannot be part of a subject.
            DurableDiffers: The durable name was made for other kinds.
            BusUnavailable: No server answered.
        """
        if self._closed:
            raise BusClosed
        wanted = _of_stream(stream, filter) if stream else filter
        try:
            with anyio.fail_after(self._patience):
                return await NatsSubscription[T].begin(
                    self._client, self._codec, self._stream, kinds, wanted, durable, ack_wait
                )
        except TimeoutError as error:
            raise BusUnavailable("subscribing", self._patience) from error

    async def aclose(self) -> None:
        """End the connection, and with it every iteration. Closing again does nothing."""
        self._closed = True
        try:
            await self._client.close()
        except (OSError, TypeError):
            # What nobody can read any more was still to be sent; CPython 3.12 and 3.13 call None
            # where a connection is lost. The client stops halfway there, with its tasks alive, and
            # thinks that it is closed; the second time nothing is left.
            self._client._status = Client.DISCONNECTED  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            self._client._pending, self._client._pending_data_size = [], 0  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _of_stream(stream: str, wanted: Callable[[T], bool] | None) -> Callable[[T], bool]:
    def takes(item: T) -> bool:
        return getattr(item, "stream", None) == stream and (wanted is None or wanted(item))

    return takes


def _stored(answer: asyncio.Future[PubAck]) -> bool:
    if not answer.done():
        answer.cancel()
        return False
    return not answer.cancelled() and answer.exception() is None


def _raise_refusal(item_id: str, answer: asyncio.Future[PubAck]) -> None:
    if answer.cancelled():
        return
    error = answer.exception()
    if error is not None and not isinstance(error, _PASSING):
        raise PublishRefused(item_id, str(error)) from error


async def _log_error(error: Exception) -> None:
    logger.info("The connection to NATS: %s", error)
