"""JSON-RPC 2.0 as MCP uses it: one object a message, no batches, ids that are text or integers.

Decoding is one pass of msgspec over bytes whose number was limited before; `params` and `result`
stay what JSON says, because only their reader knows their shape. Nothing here does I/O.
"""

from typing import Final, TypeAlias

import msgspec

from toka.tools.mcp._errors import PARSE_ERROR, ProtocolError
from toka.types import JsonObject

RequestId: TypeAlias = int | str

MAX_MESSAGE_BYTES: Final = 8 << 20
"""Of one message, before it is parsed; an argument of a tool call may have four MiB."""

MAX_ID_BYTES: Final = 256


class ErrorObject(msgspec.Struct, omit_defaults=True):
    """The `error` member of a response."""

    code: int
    message: str
    data: object = msgspec.UNSET
    """Any JSON value, if there is one."""


class Message(msgspec.Struct, omit_defaults=True):
    """A request, a notification or a response; `decode` guarantees that it is one of them."""

    jsonrpc: str
    id: RequestId | msgspec.UnsetType | None = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, object] | msgspec.UnsetType = msgspec.UNSET
    result: object = msgspec.UNSET
    """Any JSON value, if there is one."""
    error: ErrorObject | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_request(self) -> bool:
        """Whether an answer is owed."""
        return self.method is not msgspec.UNSET and self.id is not msgspec.UNSET

    @property
    def is_notification(self) -> bool:
        """Whether it wants no answer."""
        return self.method is not msgspec.UNSET and self.id is msgspec.UNSET

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return self.method is msgspec.UNSET


class _Identified(msgspec.Struct):
    id: RequestId | None = None


_identified: Final = msgspec.json.Decoder(_Identified)
_decoder: Final = msgspec.json.Decoder(Message)
_encoder: Final = msgspec.json.Encoder()
_encode: Final = _encoder.encode


def decode(data: bytes | bytearray | memoryview) -> Message:
    """Return the one message that `data` holds.

    Raises:
        ProtocolError: It is not JSON (`PARSE_ERROR`), or not one message (`INVALID_REQUEST`).
    """
    try:
        message = _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"Not a JSON-RPC message: {error}.") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"Not JSON: {error}.", PARSE_ERROR) from error
    _check(message)
    return message


def id_in(data: bytes | bytearray | memoryview) -> RequestId | None:
    """Return the id in a message that is otherwise wrong, for the error that answers it."""
    try:
        return _identified.decode(data).id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _check(message: Message) -> None:
    if message.jsonrpc != "2.0":
        raise ProtocolError("jsonrpc must be '2.0'.")
    if isinstance(message.id, str) and len(message.id) > MAX_ID_BYTES:
        raise ProtocolError(f"An id has at most {MAX_ID_BYTES} characters.")
    if message.method is not msgspec.UNSET:
        if message.id is None:
            raise ProtocolError("The id of a request is text or an integer, never null.")
        if message.result is not msgspec.UNSET or message.error is not msgspec.UNSET:
            raise ProtocolError("A message with a method has neither result nor error.")
    elif (message.result is msgspec.UNSET) == (message.error is msgspec.UNSET):
        raise ProtocolError("A message is a request, a notification or a response.")
    elif message.result is not msgspec.UNSET and not _identifies(message.id):
        raise ProtocolError("A result says which request it answers.")


def _identifies(request_id: RequestId | msgspec.UnsetType | None) -> bool:
    return request_id is not None and request_id is not msgspec.UNSET


def encode_request(request_id: RequestId, method: str, params: JsonObject) -> bytes:
    """Return a request as JSON."""
    return _encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def encode_notification(method: str, params: JsonObject) -> bytes:
    """Return a notification as JSON."""
    return _encode({"jsonrpc": "2.0", "method": method, "params": params})


def encode_result(request_id: RequestId, result: JsonObject) -> bytes:
    """Return a response with a result as JSON."""
    return _encode({"jsonrpc": "2.0", "id": request_id, "result": result})


def encode_error(request_id: RequestId | None, error: ErrorObject) -> bytes:
    """Return a response with an error as JSON.

    Where the id could not be read there is none, as MCP has it, rather than JSON-RPC's null.
    """
    if request_id is None:
        return _encode({"jsonrpc": "2.0", "error": error})
    return _encode({"jsonrpc": "2.0", "id": request_id, "error": error})
