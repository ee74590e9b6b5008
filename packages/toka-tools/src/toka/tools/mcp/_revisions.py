"""The revisions of the Model Context Protocol, and the names that each of the two eras uses.

Revisions up to 2025-11-25 begin with a handshake (`initialize`) and keep a session. From 2026-07-28
on there is none: every request says in its `_meta` which revision it speaks and what its sender can
do, and on HTTP says part of it again in headers, so that whatever stands between need not read it.
"""

from __future__ import annotations

from typing import Final

HANDSHAKE_REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Reached by `initialize`, oldest first."""

STATELESS_REVISIONS: Final = ("2026-07-28",)
"""Named in the `_meta` of every request, oldest first."""

LATEST_HANDSHAKE: Final = HANDSHAKE_REVISIONS[-1]
LATEST_STATELESS: Final = STATELESS_REVISIONS[-1]

META_REVISION: Final = "io.modelcontextprotocol/protocolVersion"
META_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
META_CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
META_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
META_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
META_TRACE: Final = ("traceparent", "tracestate", "baggage")
"""W3C trace context, without a prefix since 2026-07-28."""

META_TAINTED: Final = "toka.tools/tainted"
"""Our own: on a result that holds data from outside."""
META_TRUNCATED: Final = "toka.tools/truncated"
"""Our own: on a result that a limit cut."""
META_CODE: Final = "toka.tools/code"
"""Our own: on a tool's error, its stable code."""

TASKS_EXTENSION: Final = "io.modelcontextprotocol/tasks"

HEADER_REVISION: Final = "MCP-Protocol-Version"
HEADER_SESSION: Final = "Mcp-Session-Id"
HEADER_METHOD: Final = "Mcp-Method"
HEADER_NAME: Final = "Mcp-Name"
HEADER_PARAMETER: Final = "Mcp-Param-"
"""What the name of a parameter's header begins with; `x-mcp-header` in its schema says the rest."""

NAMED_BY: Final = {
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/cancel": "taskId",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tools/call": "name",
}
"""Methods whose `Mcp-Name` header says again what this parameter says."""
