"""A conversation with one server, in whichever of the two eras it speaks.

Up to 2025-11-25 a handshake begins a session and the server may ask back at any time. From
2026-07-28 on every request stands for itself, and a server that needs to know more answers with
what it needs; the request is then made again with it. `Session` hides which it is.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import anyio
import attrs
import msgspec

from toka.tools.mcp._errors import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    UNSUPPORTED_REVISION,
    CannotAskError,
    ConnectionLostError,
    ProtocolError,
    RemoteError,
)
from toka.tools.mcp._header_values import encode_value
from toka.tools.mcp._messages import (
    ErrorObject,
    Message,
    encode_error,
    encode_notification,
    encode_request,
    encode_result,
)
from toka.tools.mcp._revisions import (
    HANDSHAKE_REVISIONS,
    HEADER_METHOD,
    HEADER_NAME,
    HEADER_REVISION,
    LATEST_HANDSHAKE,
    LATEST_STATELESS,
    META_CLIENT_CAPABILITIES,
    META_CLIENT_INFO,
    META_REVISION,
    NAMED_BY,
    STATELESS_REVISIONS,
    TASKS_EXTENSION,
)
from toka.tools.mcp.client._errors import HttpStatusError
from toka.tools.mcp.client._transport import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from toka.tools.mcp.client._asking import Asked
    from toka.tools.mcp.client._transport import Transport
    from toka.types import Json, JsonObject

    OnProgress: TypeAlias = Callable[[float, float | None, str | None], None]
    Spawn: TypeAlias = Callable[[Coroutine[None, None, None]], None]

DISCOVER_SECONDS: Final = 10.0
MAX_PAGES: Final = 100
MAX_TOOLS: Final = 2_000
MAX_ROUNDS: Final = 10
MAX_QUESTIONS: Final = 16
"""That a server may have open at once in the era in which it asks unasked."""
CHANGED: Final = "notifications/tools/list_changed"
_STATE_ONLY_SECONDS: Final = 0.05
_MESSAGE: Final = 300


@attrs.define(eq=False)
class Session:
    """A conversation with one server."""

    _server: str
    _transport: Transport
    _asked: Asked
    _spawn: Spawn
    """Starts a task that ends, at the latest, with the client."""
    _on_change: Callable[[], None]
    revision: str | None = attrs.field(default=None, init=False)
    capabilities: JsonObject = attrs.field(factory=dict[str, "Json"], init=False)
    server_info: JsonObject = attrs.field(factory=dict[str, "Json"], init=False)
    """What the server says that it is; nothing that can be relied on."""
    _ids: count[int] = attrs.field(factory=lambda: count(1), init=False)
    _progress: dict[int, OnProgress] = attrs.field(factory=dict[int, "OnProgress"], init=False)
    _questions: int = attrs.field(default=0, init=False)

    @property
    def stateless(self) -> bool:
        """Whether every request stands for itself."""
        return self.revision in STATELESS_REVISIONS

    async def negotiate(self, wanted: str, *, silence: bool = False) -> None:
        """Agree on a revision.

        Args:
            wanted: One of them, or `auto`: the newest, and the handshake where that is not known.
            silence: Whether a server may answer nothing to what it does not know. Over HTTP none
                does, and the first request may have to wait for a person who logs in.

        Raises:
            ToolError: There is none in common, or no answer.
        """
        handshake = wanted in HANDSHAKE_REVISIONS
        if not handshake and await self._discover(
            required=wanted != "auto", seconds=DISCOVER_SECONDS if silence else None
        ):
            return
        try:
            await self._initialize()
        except RemoteError as error:
            # A server slow to start can have heard the first question when it hears this one.
            if handshake or LATEST_STATELESS not in _supported(error):
                raise
            await self._discover(required=True)

    async def _discover(self, *, required: bool, seconds: float | None = None) -> bool:
        """Try the era without sessions; say whether the server speaks it."""
        self.revision = LATEST_STATELESS
        try:
            with anyio.fail_after(None if required else seconds):
                result = await self._offer_revision()
        except (RemoteError, ProtocolError, TimeoutError, HttpStatusError) as error:
            # Whatever a server of the other era answers, it is not this. Only one that names its
            # revisions, of which none is of the other era either, is worth an error.
            if required or _only_other_revisions(error):
                raise _no_revision(self._server) from error
            self.revision = None
            return False
        offered = result.get("supportedVersions")
        if not isinstance(offered, list) or LATEST_STATELESS not in offered:
            if required:
                raise _no_revision(self._server)
            self.revision = None
            return False
        self.capabilities = _object(result.get("capabilities"))
        return True

    async def _offer_revision(self) -> dict[str, Json]:
        try:
            return await self.request("server/discover", {})
        except RemoteError as error:
            # What a server refuses and names as supported in one answer it is asked once more.
            if LATEST_STATELESS not in _supported(error):
                raise
        return await self.request("server/discover", {})

    async def _initialize(self) -> None:
        self.revision = None
        result = await self.request(
            "initialize",
            {
                "protocolVersion": LATEST_HANDSHAKE,
                "capabilities": cast("Json", self._asked.capabilities),
                "clientInfo": _client_info(),
            },
        )
        revision = result.get("protocolVersion")
        if not isinstance(revision, str) or revision not in HANDSHAKE_REVISIONS:
            raise _no_revision(self._server)
        self.revision = revision
        self.capabilities = _object(result.get("capabilities"))
        self.server_info = _object(result.get("serverInfo"))
        self._transport.set_revision(revision)
        await self._transport.send(encode_notification("notifications/initialized", {}))

    async def request(
        self,
        method: str,
        params: Mapping[str, Json],
        *,
        headers: Mapping[str, str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Json]:
        """Make one request and return its result.

        Raises:
            ToolError: There is none, or it is an error (`RemoteError`).
        """
        number = next(self._ids)
        meta: dict[str, Json] = dict(_object(params.get("_meta")))
        if on_progress is not None:
            self._progress[number] = on_progress
            meta["progressToken"] = number
        said = {**self._say(method, params, meta), **(headers or {})}
        body = dict(params) if not meta else {**params, "_meta": meta}
        encoded = encode_request(number, method, body)
        try:
            message = await self._transport.request(Outgoing(number, encoded, said, self.stateless))
        finally:
            self._progress.pop(number, None)
        return self._result(message)

    def _say(
        self, method: str, params: Mapping[str, Json], meta: dict[str, Json]
    ) -> dict[str, str]:
        """Fill in what 2026-07-28 has each request say; return the headers that say it again."""
        if not self.stateless or self.revision is None:
            return {}
        none: JsonObject = {}
        capabilities = {**self._asked.capabilities, "extensions": {TASKS_EXTENSION: none}}
        meta[META_REVISION] = self.revision
        meta[META_CLIENT_INFO] = _client_info()
        meta[META_CLIENT_CAPABILITIES] = cast("Json", capabilities)
        headers = {HEADER_REVISION: self.revision, HEADER_METHOD: method}
        name = params.get(NAMED_BY.get(method, ""))
        if isinstance(name, str):
            headers[HEADER_NAME] = encode_value(name)
        return headers

    def _result(self, message: Message) -> dict[str, Json]:
        error = message.error
        if isinstance(error, ErrorObject):
            # Quoted and cut: the text is the server's, and ends up where a model reads it.
            data = None if error.data is msgspec.UNSET else cast("Json", error.data)
            raise RemoteError(
                f"{self._server} answered with the error {error.code}:"
                f" {error.message[:_MESSAGE]!a}.",
                error.code,
                data,
            )
        result = message.result
        if not isinstance(result, dict):
            raise ProtocolError(f"{self._server} answered with something that is no object.")
        return cast("dict[str, Json]", result)

    async def list_tools(self) -> list[Json]:
        """Return all that the server lists as its tools.

        Raises:
            ToolError: It has no end, or the server does not answer.
        """
        tools: list[Json] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self.request("tools/list", {} if cursor is None else {"cursor": cursor})
            listed = page.get("tools")
            if not isinstance(listed, list):
                raise ProtocolError(f"{self._server} has a list of tools that is none.")
            tools += listed
            following = page.get("nextCursor")
            if len(tools) > MAX_TOOLS:
                break
            if not isinstance(following, str):
                return tools
            cursor = following
        raise ProtocolError(f"{self._server} lists more than {MAX_TOOLS} tools, or without an end.")

    async def call(
        self,
        name: str,
        arguments: JsonObject,
        *,
        headers: Mapping[str, str],
        on_progress: OnProgress | None = None,
        meta: Mapping[str, Json] | None = None,
        as_task: bool = False,
    ) -> dict[str, Json]:
        """Call a tool, answering what the server asks meanwhile, and return its last result.

        Raises:
            CannotAskError: The server needs what nobody gives here.
            ToolError: The call failed.
        """
        params: dict[str, Json] = {"name": name, "arguments": cast("Json", arguments)}
        if meta:
            params["_meta"] = dict(meta)
        if as_task and not self.stateless:
            params["task"] = {}
        more: dict[str, Json] = {}
        for _ in range(MAX_ROUNDS):
            result = await self.request(
                "tools/call", {**params, **more}, headers=headers, on_progress=on_progress
            )
            kind = result.get("resultType", "complete")
            if kind != "input_required" or not self.stateless:
                return result
            more = await self._more(result)
        raise CannotAskError(f"{self._server} asked more than {MAX_ROUNDS} times for one call.")

    async def _more(self, result: Mapping[str, Json]) -> dict[str, Json]:
        """Return what a repeated request has besides: answers, and the state as it was given."""
        requests, state = result.get("inputRequests"), result.get("requestState")
        more: dict[str, Json] = {}
        if requests:
            more["inputResponses"] = cast("Json", await self._asked.answer_all(requests))
        elif isinstance(state, str):
            await anyio.sleep(_STATE_ONLY_SECONDS)
        else:
            raise ProtocolError(f"{self._server} needs more, and does not say what.")
        if isinstance(state, str):
            more["requestState"] = state
        return more

    async def answer_inputs(self, requests: Json) -> JsonObject:
        """Answer what a task needs to go on.

        Raises:
            CannotAskError: It cannot be answered.
        """
        return await self._asked.answer_all(requests)

    def take(self, message: Message) -> None:
        """Take what is not the answer to a request. Never waits."""
        method = message.method if isinstance(message.method, str) else ""
        params = cast("JsonObject", message.params if isinstance(message.params, dict) else {})
        if message.is_request:
            self._take_question(message, method, params)
        elif method == CHANGED:
            self._on_change()
        elif method == "notifications/progress":
            self._take_progress(params)

    def _take_progress(self, params: Mapping[str, Json]) -> None:
        token, progress, total = (params.get(key) for key in ("progressToken", "progress", "total"))
        if type(token) is not int or not isinstance(progress, (int, float)):
            return
        handler = self._progress.get(token)
        if handler is not None:
            text = params.get("message")
            handler(
                float(progress),
                float(total) if isinstance(total, (int, float)) else None,
                text[:_MESSAGE] if isinstance(text, str) else None,
            )

    def _take_question(self, message: Message, method: str, params: JsonObject) -> None:
        # 2026-07-28 has no requests from a server, so none is answered there.
        if self.stateless or self._questions >= MAX_QUESTIONS:
            return
        self._questions += 1
        self._spawn(self._answer(message, method, params))

    async def _answer(self, message: Message, method: str, params: JsonObject) -> None:
        request_id = cast("int | str", message.id)
        try:
            body = encode_result(request_id, await self._asked.answer(method, cast("Json", params)))
        except ProtocolError as error:
            body = encode_error(request_id, ErrorObject(error.number, error.message))
        except CannotAskError as error:
            body = encode_error(request_id, ErrorObject(INTERNAL_ERROR, error.message))
        finally:
            self._questions -= 1
        try:
            await self._transport.send(body)
        except (ConnectionLostError, ProtocolError):
            return  # Who asked is gone.

    async def listen(self) -> None:
        """Take what the server says unasked, as long as it wants to: changes, and questions."""
        if not self.stateless:
            await self._transport.listen()
            return
        tools = self.capabilities.get("tools")
        if not isinstance(tools, dict) or tools.get("listChanged") is not True:
            return
        wanted: JsonObject = {"notifications": {"toolsListChanged": True}}
        try:
            await self.request("subscriptions/listen", wanted)
        except (RemoteError, ProtocolError, ConnectionLostError, HttpStatusError):
            return


def is_stale(error: RemoteError) -> bool:
    """Say whether an error is about a definition that the server has changed since."""
    return error.number == HEADER_MISMATCH


def _object(value: Json | None) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _client_info() -> dict[str, Json]:
    from importlib.metadata import version  # noqa: PLC0415 - 20 ms, and only with a connection

    return {"name": "toka", "version": version("toka-tools")}


def _only_other_revisions(error: BaseException) -> bool:
    supported = _supported(error)
    return bool(supported) and not any(one in HANDSHAKE_REVISIONS for one in supported)


def _supported(error: BaseException) -> list[Json]:
    """Return the revisions that an error names, if it is about them."""
    if not isinstance(error, RemoteError) or error.number != UNSUPPORTED_REVISION:
        return []
    supported = error.data.get("supported") if isinstance(error.data, dict) else None
    return supported if isinstance(supported, list) else []


def _no_revision(server: str) -> ProtocolError:
    return ProtocolError(
        f"{server} speaks no revision of MCP that is known here.", METHOD_NOT_FOUND
    )
