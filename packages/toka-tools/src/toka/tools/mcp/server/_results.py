"""Results of tools as the Model Context Protocol has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.tools._errors import AccessDeniedError
from toka.tools._result import ToolResult
from toka.tools.mcp._revisions import META_CODE, META_TAINTED, META_TRUNCATED

if TYPE_CHECKING:
    from toka.tools._errors import ToolError
    from toka.tools._tool import Tool
    from toka.types import Json, JsonObject

REFUSED: Final = "The call is not allowed."
"""What a caller is told whatever was missing: telling reasons apart helps whoever probes."""


@attrs.frozen
class ContentResult(ToolResult):
    """A result with content of its own for MCP clients: pictures, sound, resources.

    Everywhere else it is its `value`.
    """

    content: tuple[JsonObject, ...] = ()
    """Content blocks of the protocol, each with its `type`."""


def as_call_result(result: ToolResult, tool: Tool, *, any_structure: bool) -> JsonObject:
    """Return the result of a call.

    Args:
        result: What the tool returned.
        tool: The tool.
        any_structure: Whether structured content may be any JSON value, as since 2026-07-28, or an
            object alone.
    """
    value = result.value
    if isinstance(result, ContentResult):
        content: Json = list(result.content)
    else:
        content = [{"type": "text", "text": _text(value)}]
    made: dict[str, Json] = {"content": content}
    if isinstance(value, dict) or (any_structure and not isinstance(value, (str, type(None)))):
        made["structuredContent"] = value
    meta: dict[str, Json] = {}
    if tool.taints:
        meta[META_TAINTED] = True
    if result.truncated:
        meta[META_TRUNCATED] = True
    if meta:
        made["_meta"] = meta
    return made


def _text(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def as_error_result(error: ToolError, *, explain: bool) -> JsonObject:
    """Return the result of a call that failed, for a model to read.

    Args:
        error: Why it failed.
        explain: Whether a refusal says what was missing.
    """
    denied = isinstance(error, AccessDeniedError) and not explain
    code = AccessDeniedError.default_code if denied else error.code
    text = REFUSED if denied else str(error)
    return {
        "content": [{"type": "text", "text": text}],
        "isError": True,
        "_meta": {META_CODE: code},
    }
