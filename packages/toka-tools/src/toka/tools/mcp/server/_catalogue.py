"""Lists as a client gets them: in a fixed order, page by page, and only what its caller may use."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Protocol

import attrs

from toka.tools._errors import ToolError, UnknownToolError
from toka.tools.mcp._errors import INVALID_PARAMS, ProtocolError
from toka.tools.mcp._header_values import HeaderParameter, header_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.tools._context import Grants, ToolContext
    from toka.tools._registry import ToolRegistry
    from toka.tools._tool import Tool
    from toka.types import Json, JsonObject


class DeclaresActions(Protocol):
    """A tool that says which actions its calls may take, whatever their arguments are."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Domain and action of each, as in `fs:read`; a call takes one of them, or several."""
        ...


class DescribesResult(Protocol):
    """A tool that says what its results look like."""

    @property
    def result_schema(self) -> JsonObject | None:
        """JSON Schema 2020-12 of its values, or None."""
        ...


def may_call(tool: Tool, granted: Grants, context: ToolContext) -> bool:
    """Whether some call of the tool might be allowed; where that cannot be told, yes."""
    # Asked with getattr: a check against a protocol costs more than the rest of a small call.
    actions: tuple[str, ...] = getattr(tool, "actions", ())
    if actions:
        return any(_may_act(granted, action) for action in actions)
    if tool.parameters.get("properties"):
        return True
    try:
        requests = tool.requests({}, context.workspace)
    except ToolError:
        return False
    return all(granted.covers(request) is not None for request in requests)


def _may_act(granted: Grants, action: str) -> bool:
    # By the domain alone: which action implies which, only the grants know.
    domain = action.partition(":")[0]
    return any(each.domain == domain for each in granted)


def describe(tool: Tool, *, any_structure: bool) -> JsonObject:
    """Return a tool as the protocol lists it.

    Args:
        tool: The tool.
        any_structure: Whether results may be any JSON value, as since 2026-07-28, or an object.
    """
    effect = tool.side_effect
    described: dict[str, Json] = {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": {"type": "object", **tool.parameters},
        "annotations": {
            "readOnlyHint": effect in {"none", "read_only"},
            "destructiveHint": effect not in {"none", "read_only"},
            "idempotentHint": effect in {"none", "read_only", "idempotent"},
            "openWorldHint": tool.taints,
        },
    }
    schema: JsonObject | None = getattr(tool, "result_schema", None)
    if schema and (any_structure or schema.get("type") == "object"):
        described["outputSchema"] = schema
    return described


def find_tool(registry: ToolRegistry, name: Json) -> Tool | None:
    """Return the tool of this name, or None."""
    if not isinstance(name, str):
        return None
    try:
        return registry.get(name)
    except UnknownToolError:
        return None


@attrs.frozen
class Page:
    """Part of a list, and where the next part begins."""

    items: list[JsonObject]
    cursor: str | None


def page_of(items: Sequence[JsonObject], key: str, cursor: Json, size: int) -> Page:
    """Return the part that begins behind what the cursor names.

    The cursor names the last item that was seen, so that a list which changes meanwhile neither
    repeats nor leaves out what stays in it.

    Raises:
        ProtocolError: The cursor is none of ours.
    """
    ordered = sorted(items, key=lambda item: str(item.get(key)))
    if cursor is not None:
        last = _decoded(cursor)
        ordered = [item for item in ordered if str(item.get(key)) > last]
    shown, rest = ordered[:size], ordered[size:]
    return Page(shown, _encoded(str(shown[-1].get(key))) if rest else None)


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decoded(cursor: Json) -> str:
    try:
        return base64.b64decode(str(cursor), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("The cursor is not one of this list.", INVALID_PARAMS) from error


class HeaderCatalogue:
    """Which arguments of which tools are said in headers too, worked out once for each tool."""

    __slots__ = ("_known", "_registry")

    def __init__(self, registry: ToolRegistry) -> None:
        self._registry = registry
        self._known: dict[str, tuple[Tool, tuple[HeaderParameter, ...]]] = {}

    def parameters_of(self, name: Json) -> tuple[HeaderParameter, ...]:
        """Return them; none for a tool that there is not, or that annotates wrongly."""
        tool = find_tool(self._registry, name)
        if tool is None:
            return ()
        known = self._known.get(tool.name)
        if known is None or known[0] is not tool:
            try:
                found = header_parameters(tool.parameters)
            except ProtocolError:
                found = ()  # Clients leave such a tool out, and send no headers for it.
            known = self._known[tool.name] = (tool, found)
        return known[1]
