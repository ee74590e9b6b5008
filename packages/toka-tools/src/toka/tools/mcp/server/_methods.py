"""What each method does, in each era."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from toka.tools.mcp._errors import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    ProtocolError,
)
from toka.tools.mcp._revisions import TASKS_EXTENSION
from toka.tools.mcp.server._calls import (
    call_tool,
    complete,
    context_of,
    get_prompt,
    read_resource,
)
from toka.tools.mcp.server._catalogue import describe, may_call, page_of
from toka.tools.mcp.server._conversation import LEVELS
from toka.tools.mcp.server._eras import discovery_result
from toka.tools.mcp.server._sessions import MAX_SUBSCRIPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toka.tools._context import ToolContext
    from toka.tools.mcp.server._calls import Body
    from toka.tools.mcp.server._exchange import Exchange
    from toka.tools.mcp.server._host import Host
    from toka.tools.mcp.server._tasks import Task
    from toka.types import Json, JsonObject

    Immediate: TypeAlias = Callable[[Host, Exchange], JsonObject]


def list_tools(host: Host, exchange: Exchange) -> JsonObject:
    """List the tools that the caller might use."""
    context = context_of(host, exchange)
    shown = [
        describe(tool, any_structure=exchange.stateless)
        for tool in host.registry
        if may_call(tool, context.granted, context)
    ]
    return _listed(host, exchange, "tools", shown, "name")


def _listed(
    host: Host, exchange: Exchange, member: str, items: Sequence[JsonObject], key: str
) -> JsonObject:
    cursor = exchange.params.get("cursor")
    page = page_of(items, key, cursor, host.options.page_size)
    made: dict[str, Json] = {member: page.items}
    if page.cursor is not None:
        made["nextCursor"] = page.cursor
    return {**made, **_cached(host, exchange)}


def _cached(host: Host, exchange: Exchange) -> JsonObject:
    if not exchange.stateless:
        return {}
    anybody = exchange.principal.granted is None
    scope = "public" if anybody else "private"
    return {"ttlMs": host.options.list_ttl_ms, "cacheScope": scope}


async def _list_resources(host: Host, exchange: Exchange, context: ToolContext) -> JsonObject:
    offered = host.options.resources
    found = () if offered is None else await offered.resources(context)
    return _listed(host, exchange, "resources", found, "uri")


async def _list_templates(host: Host, exchange: Exchange, context: ToolContext) -> JsonObject:
    offered = host.options.resources
    found = () if offered is None else await offered.templates(context)
    return _listed(host, exchange, "resourceTemplates", found, "uriTemplate")


async def _list_prompts(host: Host, exchange: Exchange, context: ToolContext) -> JsonObject:
    offered = host.options.prompts
    found = () if offered is None else await offered.prompts(context)
    return _listed(host, exchange, "prompts", found, "name")


def _discover(host: Host, exchange: Exchange) -> JsonObject:
    return {**discovery_result(host), **_cached(host, exchange)}


def _ping(_: Host, __: Exchange) -> JsonObject:
    return {}


def _set_level(_: Host, exchange: Exchange) -> JsonObject:
    level = exchange.params.get("level")
    if level not in LEVELS or exchange.session is None:
        raise ProtocolError(f"level is one of {', '.join(LEVELS)}.", INVALID_PARAMS)
    exchange.session.log_level = str(level)
    return {}


def _subscribe(_: Host, exchange: Exchange) -> JsonObject:
    uri, session = exchange.params.get("uri"), exchange.session
    if not isinstance(uri, str) or session is None:
        raise ProtocolError("uri is a text.", INVALID_PARAMS)
    if len(session.subscribed) >= MAX_SUBSCRIPTIONS and uri not in session.subscribed:
        raise ProtocolError(f"There are at most {MAX_SUBSCRIPTIONS} subscriptions.")
    session.subscribed.add(uri)
    return {}


def _unsubscribe(_: Host, exchange: Exchange) -> JsonObject:
    uri, session = exchange.params.get("uri"), exchange.session
    if not isinstance(uri, str) or session is None:
        raise ProtocolError("uri is a text.", INVALID_PARAMS)
    session.subscribed.discard(uri)
    return {}


def _task(host: Host, exchange: Exchange) -> Task:
    if not exchange.knows_tasks:
        raise ProtocolError(
            "The client has to declare the tasks extension.",
            MISSING_CAPABILITY,
            {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}},
        )
    return host.board.find(exchange.params.get("taskId"), exchange.principal)


def _get_task(host: Host, exchange: Exchange) -> JsonObject:
    return _task(host, exchange).details()


def _update_task(host: Host, exchange: Exchange) -> JsonObject:
    task, answers = _task(host, exchange), exchange.params.get("inputResponses")
    if not isinstance(answers, dict):
        raise ProtocolError("inputResponses is an object.", INVALID_PARAMS)
    task.update(answers)
    return {}


def _cancel_task(host: Host, exchange: Exchange) -> JsonObject:
    _task(host, exchange).cancel()
    return {}


_IMMEDIATE_BOTH: Final[Mapping[str, Immediate]] = {"tools/list": list_tools}

IMMEDIATE_STATELESS: Final[Mapping[str, Immediate]] = {
    **_IMMEDIATE_BOTH,
    "server/discover": _discover,
    "tasks/cancel": _cancel_task,
    "tasks/get": _get_task,
    "tasks/update": _update_task,
}
"""Methods that are answered at once, from 2026-07-28 on."""

IMMEDIATE_HANDSHAKE: Final[Mapping[str, Immediate]] = {
    **_IMMEDIATE_BOTH,
    "logging/setLevel": _set_level,
    "ping": _ping,
    "resources/subscribe": _subscribe,
    "resources/unsubscribe": _unsubscribe,
}
"""Methods that are answered at once, in a session."""

LASTING: Final[Mapping[str, Body]] = {
    "completion/complete": complete,
    "prompts/get": get_prompt,
    "prompts/list": _list_prompts,
    "resources/list": _list_resources,
    "resources/read": read_resource,
    "resources/templates/list": _list_templates,
    "tools/call": call_tool,
}
"""Methods that may take their time, in both eras."""


def check_offered(host: Host, method: str) -> None:
    """Check that this server has what the method is about.

    Raises:
        ProtocolError: It has not; `METHOD_NOT_FOUND`.
    """
    options, family = host.options, method.partition("/")[0]
    offers: Mapping[str, object] = {
        "completion": options.completions,
        "prompts": options.prompts,
        "resources": options.resources,
    }
    if family in offers and offers[family] is None:
        raise unknown_method(method)


def unknown_method(method: str) -> ProtocolError:
    """Return the error for a method that there is not."""
    return ProtocolError(f"There is no method {method[:80]!r}.", METHOD_NOT_FOUND)
