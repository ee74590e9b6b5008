"""Tools over the Model Context Protocol: what its server and its client share."""

from toka.tools.mcp._errors import (
    CannotAskError,
    ConnectionLostError,
    McpError,
    ProtocolError,
    RemoteError,
)

__all__ = [
    "CannotAskError",
    "ConnectionLostError",
    "McpError",
    "ProtocolError",
    "RemoteError",
]
