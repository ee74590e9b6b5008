"""What the client refuses, beside what both ends do (`toka.tools.mcp._errors`).

McpError
├── UnusableDefinitionError    tools.mcp_unusable            a name, text or schema never accepted
├── NotApprovedError           tools.mcp_not_approved        nobody has approved the definition
│   └── DefinitionChangedError tools.mcp_changed             it is not what was approved
├── InvalidResultError         tools.mcp_result              the result breaks its own schema
├── AuthorizationError         tools.mcp_authorization       no token, or none that is accepted
├── SessionEndedError          tools.mcp_session_ended       the server forgot; begun anew
└── InvalidServerError         tools.mcp_configuration       the configuration cannot be understood
"""

from __future__ import annotations

from toka.tools.mcp._errors import ConnectionLostError, McpError


class UnusableDefinitionError(McpError, ValueError):
    """A server offers a tool whose name, text or schema is never accepted."""

    default_code = "tools.mcp_unusable"


class NotApprovedError(McpError):
    """A server offers a tool that nobody has approved."""

    default_code = "tools.mcp_not_approved"


class DefinitionChangedError(NotApprovedError):
    """A server's definition of a tool is not the one that was approved."""

    default_code = "tools.mcp_changed"


class InvalidResultError(McpError):
    """A result breaks the protocol, or the schema that its tool promised."""

    default_code = "tools.mcp_result"


class AuthorizationError(McpError):
    """A server wants a token, and there is none that it accepts."""

    default_code = "tools.mcp_authorization"


class SessionEndedError(ConnectionLostError):
    """A server does not know the session any more, so it did not look at the request either."""

    default_code = "tools.mcp_session_ended"


class InvalidServerError(McpError, ValueError):
    """The configuration of a server cannot be understood, or cannot work."""

    default_code = "tools.mcp_configuration"


class HttpStatusError(McpError):
    """A server refused a request as HTTP refuses, without saying why in JSON-RPC.

    Attributes:
        status: The status of the response.
    """

    default_code = "tools.mcp_http_status"

    def __init__(self, server: str, status: int) -> None:
        super().__init__(
            f"{server} answered with HTTP status {status}.", details={"status": status}
        )
        self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message.partition(" ")[0], self.status))
