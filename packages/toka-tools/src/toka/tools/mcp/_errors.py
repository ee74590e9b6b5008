"""What goes wrong between the two ends of the Model Context Protocol.

    ToolError
    └── McpError                   tools.mcp                     the base of these
        ├── ProtocolError          tools.mcp_protocol            the peer breaks the protocol
        ├── RemoteError            tools.mcp_remote              the peer answered with an error
        ├── ConnectionLostError    tools.mcp_connection_lost     no peer, or none any more
        └── CannotAskError         tools.mcp_cannot_ask          nobody there can be asked

The numbers are those of JSON-RPC 2.0, section 5.1, and of MCP 2026-07-28, which reserves -32020 to
-32099 for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.tools._errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.types import Json

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
RESOURCE_NOT_FOUND: Final = -32002
"""Until 2025-11-25; from 2026-07-28 on it is `INVALID_PARAMS`."""
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_REVISION: Final = -32022
BUSY: Final = -32010
"""Our own: there is no room for another request now."""
NOT_ADMITTED: Final = -32011
"""Our own: the token of a server over stdio is not accepted any more."""


class McpError(ToolError):
    """Something about the Model Context Protocol failed."""

    default_code = "tools.mcp"


class ProtocolError(McpError):
    """A message breaks the protocol, or one side asks what the other does not speak.

    Attributes:
        number: The JSON-RPC error code that says so on the wire.
        data: What the error object holds besides, or None.
    """

    default_code = "tools.mcp_protocol"

    def __init__(
        self, message: str, number: int = INVALID_REQUEST, data: Mapping[str, Json] | None = None
    ) -> None:
        super().__init__(message, details={"number": number})
        self.number = number
        self.data = data

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.number, self.data))


class RemoteError(McpError):
    """The other side answered a request with an error.

    Attributes:
        number: Its JSON-RPC error code.
        data: What the error object holds besides, or None.
    """

    default_code = "tools.mcp_remote"

    def __init__(self, message: str, number: int, data: Json = None) -> None:
        super().__init__(message, details={"number": number})
        self.number = number
        self.data = data

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message, self.number, self.data))


class ConnectionLostError(McpError):
    """There is no connection to the other side, or it ended before the answer came."""

    default_code = "tools.mcp_connection_lost"
    transient = True


class CannotAskError(McpError):
    """The other side cannot do what was asked of it, such as put a question to a person."""

    default_code = "tools.mcp_cannot_ask"
