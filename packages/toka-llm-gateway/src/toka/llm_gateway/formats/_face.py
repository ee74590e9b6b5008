"""What a wire format is to a server of ours: requests in, answers out, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs
import msgspec

from toka.llm_gateway._errors import InvalidRequest, ToolArgumentsInvalid
from toka.llm_gateway._messages import Reasoning
from toka.llm_gateway.formats._dialect import parse_arguments
from toka.llm_gateway.formats._json import as_object, text

if TYPE_CHECKING:
    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._messages import Format
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import ModelResponse
    from toka.types import JsonObject

_SEAL: Final = "toka."
_FORMATS: Final[dict[str, Format]] = {
    "anthropic": "anthropic",
    "chat": "chat",
    "responses": "responses",
    "gemini": "gemini",
    "converse": "converse",
}


@attrs.frozen
class Asked:
    """A request as a caller made it."""

    request: ModelRequest
    model: str
    """The name that the caller knows the model by."""
    stream: bool
    usage_wanted: bool = False
    """Whether a stream is to say what it took; chat callers have to ask for it."""


@attrs.frozen
class Stamp:
    """What an answer carries besides the model's words."""

    id: str
    """Names the answer."""
    seconds: int
    """Since the Unix epoch."""


class Renderer(Protocol):
    """Writes one stream."""

    def feed(self, event: StreamEvent) -> bytes:
        """Return what an event adds."""
        ...

    def failed(self, kind: str, code: str, message: str) -> bytes:
        """Return the end of a stream that cannot go on."""
        ...


class Face(Protocol):
    """One format, as a server speaks it."""

    def parse(self, body: bytes) -> Asked:
        """Read a request.

        Raises:
            InvalidRequest: It is not one, or asks for what cannot be given.

        """
        ...

    def whole(self, response: ModelResponse, asked: Asked, stamp: Stamp) -> bytes:
        """Return an answer's body."""
        ...

    def renderer(self, asked: Asked, stamp: Stamp) -> Renderer:
        """Return a writer for one stream."""
        ...

    def error(self, status: int, code: str, message: str) -> bytes:
        """Return an error's body."""
        ...


def read_object(body: bytes) -> JsonObject:
    """Read a request's JSON.

    Raises:
        InvalidRequest: It is not an object.

    """
    failure = InvalidRequest("The body is not a JSON object.")
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        failure = InvalidRequest(f"The body is not JSON: {error}.")
    else:
        if isinstance(decoded, dict):
            return as_object(decoded)  # pyright: ignore[reportUnknownArgumentType] - JSON
    raise failure


def needed(body: JsonObject, name: str) -> str:
    """Return a text that must be there.

    Raises:
        InvalidRequest: It is not.

    """
    value = text(body, name)
    if not value:
        raise InvalidRequest(f"{name}: a text is required.")
    return value


def given_arguments(written: str, tool: str) -> JsonObject:
    """Return the arguments of a tool use that a caller sends back.

    Raises:
        InvalidRequest: They are not a JSON object.

    """
    try:
        return parse_arguments(written, tool)
    except ToolArgumentsInvalid:
        failure = InvalidRequest(f"The arguments of the call of {tool[:64]!r} are no JSON object.")
    raise failure


def seal(part: Reasoning) -> str:
    """Return a seal that says whose it is, to travel through another format."""
    if part.format == "anthropic" or not part.signature:
        return part.signature
    mark = "r" if part.redacted else "s"
    return f"{_SEAL}{part.format}.{mark}.{part.signature}"


def sealed(thought: str, signature: str) -> Reasoning:
    """Return reasoning whose seal is here, and says whose it is unless it is Anthropic's."""
    if signature.startswith(_SEAL):
        _, name, mark, signature = [*signature.split(".", 3), "", "", ""][:4]
        if name in _FORMATS:
            return Reasoning(thought, signature, mark == "r", _FORMATS[name])
    return Reasoning(thought, signature)
