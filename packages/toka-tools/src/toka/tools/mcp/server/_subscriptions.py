"""Who wants to hear of which changes: `subscriptions/listen`, and sessions of the handshake era."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast
from weakref import WeakSet

import attrs

from toka.tools.mcp._errors import (
    INVALID_PARAMS,
    MISSING_CAPABILITY,
    McpError,
    ProtocolError,
)
from toka.tools.mcp._messages import encode_notification
from toka.tools.mcp._revisions import META_SUBSCRIPTION, TASKS_EXTENSION
from toka.tools.mcp.server._sessions import MAX_SUBSCRIPTIONS

if TYPE_CHECKING:
    from toka.tools.mcp.server._exchange import Exchange
    from toka.tools.mcp.server._sessions import Session
    from toka.tools.mcp.server._tasks import Task, TaskBoard
    from toka.types import Json, JsonObject

MAX_LISTENERS: Final = 1_024
MAX_LISTENERS_OF_ONE: Final = 64

_FLAGS: Final = {
    "toolsListChanged": "tools",
    "promptsListChanged": "prompts",
    "resourcesListChanged": "resources",
}


class TooManyListenersError(McpError):
    """There is no room for another listener now."""

    default_code = "tools.mcp_too_many_listeners"
    transient = True


@attrs.define(eq=False)
class _Listener:
    exchange: Exchange
    lists: frozenset[str]
    uris: frozenset[str]
    tasks: frozenset[str]

    def tell(self, method: str, params: JsonObject) -> bool:
        meta = {META_SUBSCRIPTION: self.exchange.id}
        message = encode_notification(method, {**params, "_meta": meta})
        return self.exchange.outlet.offer(message)


class Subscriptions:
    """Passes changes on to whoever asked for them."""

    __slots__ = ("_listeners", "_offered", "_sessions")

    def __init__(self, offered: frozenset[str]) -> None:
        """Begin without listeners.

        Args:
            offered: Which lists this server has: tools, prompts, resources.
        """
        self._offered = offered
        self._listeners: dict[int, _Listener] = {}
        # An ended session is nobody's any more, and hears nothing until it is collected.
        self._sessions: WeakSet[Session] = WeakSet()

    def __len__(self) -> int:
        return len(self._listeners)

    def listen(self, exchange: Exchange, board: TaskBoard) -> None:
        """Begin a subscription with its acknowledgement.

        Raises:
            ProtocolError: The filter is none, or wants tasks from a client that knows none.
            TooManyListenersError: There are as many as there may be.
        """
        wanted = exchange.params.get("notifications")
        if not isinstance(wanted, dict):
            raise ProtocolError("notifications is an object.", INVALID_PARAMS)
        own = [
            each
            for each in self._listeners.values()
            if each.exchange.principal.name == exchange.principal.name
        ]
        if len(own) >= MAX_LISTENERS_OF_ONE or len(self._listeners) >= MAX_LISTENERS:
            raise TooManyListenersError("There are as many subscriptions as there may be.")
        listener = _Listener(
            exchange,
            frozenset(
                kind
                for flag, kind in _FLAGS.items()
                if wanted.get(flag) is True and kind in self._offered
            ),
            _texts(wanted, "resourceSubscriptions") if "resources" in self._offered else _NOTHING,
            self._own_tasks(exchange, _texts(wanted, "taskIds"), board),
        )
        self._listeners[id(exchange)] = listener
        listener.tell("notifications/subscriptions/acknowledged", _honoured(listener))

    def _own_tasks(
        self, exchange: Exchange, wanted: frozenset[str], board: TaskBoard
    ) -> frozenset[str]:
        if wanted and not exchange.knows_tasks:
            required: JsonObject = {"extensions": {TASKS_EXTENSION: {}}}
            raise ProtocolError(
                "The client has to declare the tasks extension.",
                MISSING_CAPABILITY,
                {"requiredCapabilities": required},
            )
        return frozenset(each for each in wanted if board.has(each, exchange.principal))

    def leave(self, exchange: Exchange) -> None:
        """Forget a subscription."""
        self._listeners.pop(id(exchange), None)

    def join(self, session: Session) -> None:
        """Tell a session of changes from now on."""
        self._sessions.add(session)

    def list_changed(self, kind: str) -> None:
        """Tell whoever wants to know that the list of tools, prompts or resources is another."""
        method = f"notifications/{kind}/list_changed"
        self._tell(method, {}, [each for each in self._listeners.values() if kind in each.lists])
        for session in self._sessions:
            session.tell(method, {})

    def resource_updated(self, uri: str) -> None:
        """Tell whoever wants to know that a resource has another content."""
        method, params = "notifications/resources/updated", {"uri": uri}
        self._tell(method, params, [each for each in self._listeners.values() if uri in each.uris])
        for session in self._sessions:
            if uri in session.subscribed:
                session.tell(method, params)

    def task_changed(self, task: Task) -> None:
        """Tell whoever wants to know that a task has another status."""
        told = [each for each in self._listeners.values() if task.id in each.tasks]
        if told:
            self._tell("notifications/tasks", task.details(), told)

    def _tell(self, method: str, params: JsonObject, listeners: list[_Listener]) -> None:
        for listener in listeners:
            if not listener.tell(method, params):
                # It reads too slowly to be told everything: better that it knows, and asks anew.
                self.end(listener.exchange)

    def end(self, exchange: Exchange) -> None:
        """End a subscription from our side, with its answer."""
        self.leave(exchange)
        exchange.answer({"_meta": {META_SUBSCRIPTION: exchange.id}})

    def end_all(self) -> None:
        """End every subscription."""
        for listener in tuple(self._listeners.values()):
            self.end(listener.exchange)


_NOTHING: Final[frozenset[str]] = frozenset()


def _texts(wanted: JsonObject, name: str) -> frozenset[str]:
    found = wanted.get(name, [])
    if not isinstance(found, list) or len(found) > MAX_SUBSCRIPTIONS:
        raise ProtocolError(
            f"{name} is a list of at most {MAX_SUBSCRIPTIONS} texts.", INVALID_PARAMS
        )
    if not all(isinstance(each, str) for each in found):
        raise ProtocolError(f"{name} is a list of texts.", INVALID_PARAMS)
    return frozenset(cast("list[str]", found))


def _honoured(listener: _Listener) -> JsonObject:
    honoured: dict[str, Json] = {
        flag: True for flag, kind in _FLAGS.items() if kind in listener.lists
    }
    if listener.uris:
        honoured["resourceSubscriptions"] = sorted(listener.uris)
    if listener.tasks:
        honoured["taskIds"] = sorted(listener.tasks)
    return {"notifications": honoured}
