"""Requests that run somebody else's code: calls of tools, and reading what is offered beside them.

The work of each is one asyncio task, whose end answers the request; or the request is answered
before, with a question or with a task, and the end is the task's.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast

import attrs

from toka.tools._errors import ToolError
from toka.tools.mcp._errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    RESOURCE_NOT_FOUND,
    ProtocolError,
)
from toka.tools.mcp._revisions import NAMED_BY
from toka.tools.mcp.server._catalogue import find_tool
from toka.tools.mcp.server._client_person import ClientPerson
from toka.tools.mcp.server._conversation import Conversation, LiveAsking, RoundAsking, enter
from toka.tools.mcp.server._results import as_call_result, as_error_result
from toka.tools.mcp.server._seal import request_digest
from toka.tools.mcp.server._tasks import MAX_QUESTIONS, TooManyTasksError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toka.tools._context import ToolContext
    from toka.tools.mcp.server._exchange import Exchange
    from toka.tools.mcp.server._host import Host
    from toka.types import Json, JsonObject

    Body: TypeAlias = Callable[[Host, Exchange, ToolContext], Awaitable[JsonObject]]

T = TypeVar("T")

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MAX_TRACESTATE: Final = 512
_MAX_COMPLETIONS: Final = 100
_log = logging.getLogger("toka.tools.mcp")


async def perform(host: Host, exchange: Exchange, body: Body) -> None:
    """Run the body of a request and answer with what it returns."""
    try:
        talk, context = _begin(host, exchange)
    except ProtocolError as error:
        exchange.refuse(error)
        return
    enter(talk)
    timer = _be_patient(host, exchange, talk)
    try:
        _succeed(exchange, talk, await body(host, exchange, context))
    except ProtocolError as error:
        _fail(exchange, talk, error)
    except asyncio.CancelledError:
        # Whoever cancels on the client's behalf has seen to the answer; otherwise it is owed one.
        _fail(exchange, talk, ProtocolError("The call was ended here.", INTERNAL_ERROR))
        raise
    except Exception:  # noqa: BLE001 - see below
        # Outermost: whatever a tool raises ends its request alone, and says nothing of our insides.
        _log.exception("%s of %s failed", exchange.method, exchange.params.get("name", ""))
        _fail(exchange, talk, ProtocolError("Something failed here.", INTERNAL_ERROR))
    finally:
        if timer is not None:
            timer.cancel()


def _be_patient(host: Host, exchange: Exchange, talk: Conversation) -> asyncio.TimerHandle | None:
    patience = host.options.patience_ns
    if patience is None or not exchange.knows_tasks or exchange.method != "tools/call":
        return None

    def detach() -> None:
        try:
            talk.detach_now()
        except TooManyTasksError:
            _log.warning("no room for another task; the client goes on waiting")

    return asyncio.get_running_loop().call_later(patience / 1e9, detach)


def _succeed(exchange: Exchange, talk: Conversation, result: JsonObject) -> None:
    if talk.task is not None:
        talk.task.complete(result)
    else:
        exchange.answer(result)


def _fail(exchange: Exchange, talk: Conversation, error: ProtocolError) -> None:
    if talk.task is not None:
        talk.task.fail(error)
    else:
        exchange.refuse(error)


def _begin(host: Host, exchange: Exchange) -> tuple[Conversation, ToolContext]:
    key = secrets.token_hex(8)
    if exchange.session is not None:
        asking: LiveAsking | RoundAsking = LiveAsking(exchange, exchange.session)
    else:
        key, asking = _round(host, exchange, key)
    talk = Conversation(exchange, asking, host.board)
    context = context_of(host, exchange, key)
    if context.person is None and talk.can("elicitation"):
        context = attrs.evolve(context, person=ClientPerson(talk))
    return talk, context


def _round(host: Host, exchange: Exchange, key: str) -> tuple[str, RoundAsking]:
    params, principal = exchange.params, exchange.principal.name
    about = params.get(NAMED_BY.get(exchange.method, ""))

    def digest() -> bytes:
        return request_digest(exchange.method, str(about), params.get("arguments", {}))

    answers: dict[str, Json] = {}
    if "requestState" in params:
        state = host.seal.open(params["requestState"], principal, digest())
        key, answers = state.idempotency_key, cast("dict[str, Json]", state.answers)
    if "inputResponses" in params:
        answers = {**answers, **_responses(params["inputResponses"])}

    def seal(given: dict[str, Json]) -> str:
        return host.seal.close(principal, digest(), key, given)

    return key, RoundAsking(exchange, seal, answers)


def _responses(given: Json) -> dict[str, Json]:
    if not isinstance(given, dict) or len(given) > MAX_QUESTIONS:
        raise ProtocolError(
            f"inputResponses is an object of at most {MAX_QUESTIONS} answers.", INVALID_PARAMS
        )
    if not all(isinstance(answer, dict) for answer in given.values()):
        raise ProtocolError("An answer is an object.", INVALID_PARAMS)
    return given


def context_of(host: Host, exchange: Exchange, key: str = "") -> ToolContext:
    """Return the conditions of this request: the server's, with what its principal is granted."""
    granted = exchange.principal.granted
    environment = _traced(exchange.meta)
    return attrs.evolve(
        host.context,
        granted=host.context.granted if granted is None else granted,
        idempotency_key=key,
        environment={**host.context.environment, **environment}
        if environment
        else host.context.environment,
    )


def _traced(meta: JsonObject) -> dict[str, str]:
    """Return the trace that a request belongs to as commands are told it (W3C Trace Context)."""
    parent, state = meta.get("traceparent"), meta.get("tracestate")
    if not isinstance(parent, str) or not _TRACEPARENT.fullmatch(parent):
        return {}
    traced = {"TRACEPARENT": parent}
    if (
        isinstance(state, str)
        and len(state) <= _MAX_TRACESTATE
        and state.isascii()
        and state.isprintable()
    ):
        traced["TRACESTATE"] = state
    return traced


async def call_tool(host: Host, exchange: Exchange, context: ToolContext) -> JsonObject:
    """Call a tool; its errors are results, for the model that called it."""
    params = exchange.params
    tool, arguments = find_tool(host.registry, params.get("name")), params.get("arguments", {})
    if tool is None:
        raise ProtocolError("There is no such tool.", INVALID_PARAMS)
    if not isinstance(arguments, dict):
        raise ProtocolError("arguments is an object.", INVALID_PARAMS)
    try:
        result = await host.registry.call(tool.name, arguments, context)
    except ProtocolError:
        raise
    except ToolError as error:
        _log.info("%s: %s", error.code, error)
        return as_error_result(error, explain=host.options.explain_refusals)
    return as_call_result(result, tool, any_structure=exchange.stateless)


async def read_resource(host: Host, exchange: Exchange, context: ToolContext) -> JsonObject:
    """Read a resource."""
    uri, resources = exchange.params.get("uri"), host.options.resources
    if not isinstance(uri, str) or resources is None:
        raise ProtocolError("uri is a text.", INVALID_PARAMS)
    contents = await _expected(resources.read(uri, context))
    if not contents:
        number = INVALID_PARAMS if exchange.stateless else RESOURCE_NOT_FOUND
        raise ProtocolError("There is no such resource.", number, {"uri": uri})
    read: dict[str, Json] = {"contents": list(contents)}
    if exchange.stateless:
        read |= {"ttlMs": 0, "cacheScope": "private"}
    return read


async def get_prompt(host: Host, exchange: Exchange, context: ToolContext) -> JsonObject:
    """Fill in a prompt."""
    name, prompts = exchange.params.get("name"), host.options.prompts
    arguments = exchange.params.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict) or prompts is None:
        raise ProtocolError("name is a text, and arguments is an object.", INVALID_PARAMS)
    made = await _expected(prompts.get(name, arguments, context))
    if made is None:
        raise ProtocolError("There is no such prompt.", INVALID_PARAMS)
    return made


async def complete(host: Host, exchange: Exchange, context: ToolContext) -> JsonObject:
    """Suggest how an argument might go on."""
    reference, argument = exchange.params.get("ref"), exchange.params.get("argument")
    completions = host.options.completions
    if not isinstance(reference, dict) or not isinstance(argument, dict) or completions is None:
        raise ProtocolError("ref and argument are objects.", INVALID_PARAMS)
    values = list(await _expected(completions.complete(reference, argument, context)))
    return {
        "completion": {
            "values": values[:_MAX_COMPLETIONS],
            "hasMore": len(values) > _MAX_COMPLETIONS,
        }
    }


async def _expected(offered: Awaitable[T]) -> T:
    try:
        return await offered
    except ProtocolError:
        raise
    except ToolError as error:
        raise ProtocolError("It cannot be had.", INTERNAL_ERROR) from error
