"""What a wire format is to the gateway: bytes out, bytes in, no I/O.

A dialect translates; `HttpModel` carries. Adding a provider means writing a dialect.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

import attrs
import msgspec

from toka.llm_gateway._errors import (
    AuthenticationFailed,
    CallFailed,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResponseInvalid,
    ToolArgumentsInvalid,
)
from toka.llm_gateway._events import (
    ArgumentsDelta,
    PartEnd,
    ReasoningDelta,
    TextDelta,
    ToolUseStart,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toka.llm_gateway._messages import ModelMessage
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import StopReason, Usage
    from toka.llm_gateway.formats._sse import ServerSentEvent
    from toka.types import JsonObject

T = TypeVar("T")

Delta: TypeAlias = TextDelta | ReasoningDelta | ToolUseStart | ArgumentsDelta | PartEnd
"""A stream's events short of the last one."""


@attrs.frozen
class Answer:
    """What a wire format says of an answer."""

    message: ModelMessage
    stop_reason: StopReason
    usage: Usage
    model: str
    skipped_events: int = 0


@attrs.frozen
class Counting:
    """How to ask a provider for the tokens of a request."""

    path: str
    body: bytes
    decode: Callable[[bytes], int]


@attrs.frozen
class Refusal:
    """What a wire format says of a call that failed."""

    kind: type[CallFailed]
    reason: str
    """The provider's own word for it."""
    complaint: str
    """The provider's sentence. It may quote what was sent to it."""


class Assembler(Protocol):
    """Puts the events of one stream together."""

    @property
    def complete(self) -> bool:
        """Whether the stop reason has come, so that no content is missing."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the stream has said that nothing more comes."""
        ...

    def feed(self, event: ServerSentEvent) -> Iterator[Delta]:
        """Take one event and yield what it brings. Exhaust the iterator before the next event.

        Raises:
            StreamRefused: The event reports a failure of the provider.
            ResponseInvalid: The event contradicts the wire format.

        """
        ...

    def answer(self) -> Answer:
        """Return the whole answer.

        Raises:
            StreamInterrupted: The stop reason has not come.
            ResponseInvalid: What came is no answer.

        """
        ...


class Dialect(Protocol):
    """One provider's wire format."""

    def path(self, model: str, *, stream: bool) -> str:
        """Return where a call goes, below the base address."""
        ...

    def headers(self, key: str | None) -> Mapping[str, str]:
        """Return the headers of every call, the key among them."""
        ...

    def encode(self, request: ModelRequest, model: str, *, stream: bool) -> bytes:
        """Return the body of a call.

        Raises:
            InvalidRequest: The format cannot say this.

        """
        ...

    def decode(self, body: bytes) -> Answer:
        """Read the body of a successful answer.

        Raises:
            ResponseInvalid: It is none.
            StreamRefused: It reports a failure of the provider.

        """
        ...

    def counting(self, request: ModelRequest, model: str) -> Counting | None:
        """Return how to have the tokens counted; None where nobody does."""
        ...

    def refusal(self, status: int, body: bytes) -> Refusal:
        """Read the body of an unsuccessful answer, whatever it is."""
        ...

    def assembler(self) -> Assembler:
        """Return a fresh assembler for one stream."""
        ...


class StreamRefused(Exception):
    """The provider gave up in the middle of an answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal: Final = refusal


_CLIENT_FAULTS: Final = 400
_SERVER_FAULTS: Final = 500
_BY_STATUS: Final[Mapping[int, type[CallFailed]]] = {
    401: AuthenticationFailed,
    402: QuotaExhausted,
    403: AuthenticationFailed,
    404: ModelNotFound,
    408: ProviderError,
    409: ProviderError,
    413: ContextTooLong,
    429: RateLimited,
    503: Overloaded,
    529: Overloaded,
}


def kind_of_status(status: int) -> type[CallFailed]:
    """Return what an HTTP status means where the body says nothing better."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= _SERVER_FAULTS:
        return ProviderError
    return InvalidRequest if status >= _CLIENT_FAULTS else ResponseInvalid


_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


def path_segment(name: str) -> str:
    """Return a name as one step of a path (RFC 3986, section 2.1).

    Raises:
        InvalidRequest: It would be no step, or one back.

    """
    if name in {"", ".", ".."}:
        raise InvalidRequest(f"No model can have the name {name!r}.")
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), name)


def encode_body(body: JsonObject) -> bytes:
    """Return a request's JSON.

    Raises:
        InvalidRequest: A text holds a lone surrogate, or a value is not JSON.

    """
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, TypeError, OverflowError, RecursionError):
        # The cause quotes the value, which is part of the prompt.
        failure = InvalidRequest("The request holds a value that JSON cannot carry.")
    raise failure


def decode_body(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read an answer's JSON.

    Raises:
        ResponseInvalid: It is not JSON, or not of the expected form.

    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ResponseInvalid(f"The provider's answer is malformed: {error}.") from error


def counter(field: str) -> Callable[[bytes], int]:
    """Return a reader of answers that hold a count in one field."""

    def count(body: bytes) -> int:
        counted = decode_body(_COUNTS, body).get(field)
        if not isinstance(counted, int):
            raise ResponseInvalid("The provider's answer holds no count of tokens.")
        return counted

    return count


_COUNTS: Final = msgspec.json.Decoder(dict[str, object])
_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, object])


def parse_arguments(text: str | bytes, tool: str) -> JsonObject:
    """Read the arguments that a model wrote for a tool; nothing at all means none.

    Raises:
        ToolArgumentsInvalid: They are not a JSON object.

    """
    if not text.strip():
        return {}
    try:
        arguments: JsonObject = _ARGUMENTS.decode(text)  # type: ignore[assignment]  # JSON by origin
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ToolArgumentsInvalid(
            f"The model called the tool {tool[:64]!r} with arguments that are not a JSON object:"
            f" {error}.",
            hint="A larger max_output_tokens helps if they were cut off; else ask again.",
            details={"tool": tool[:64]},
        ) from error
    return arguments
