"""One request, from its arrival to its one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import attrs

from toka.tools.mcp._messages import (
    ErrorObject,
    RequestId,
    encode_error,
    encode_notification,
    encode_result,
)
from toka.tools.mcp._revisions import TASKS_EXTENSION

if TYPE_CHECKING:
    import asyncio

    from toka.tools.mcp._errors import ProtocolError
    from toka.tools.mcp.server._outlets import Outlet
    from toka.tools.mcp.server._principals import Principal
    from toka.tools.mcp.server._sessions import Session
    from toka.types import Json, JsonObject


@attrs.define(eq=False)
class Exchange:
    """A request that is being answered. The first answer counts; after it, nothing is sent."""

    id: RequestId
    method: str
    params: JsonObject
    principal: Principal
    outlet: Outlet
    revision: str
    capabilities: JsonObject
    """What the client declared: once for a session, or with this request."""
    session: Session | None = None
    """None in the stateless era."""
    task: asyncio.Task[None] | None = None
    """What works on the answer, where that takes more than a moment."""
    answered: bool = False

    @property
    def stateless(self) -> bool:
        """Whether it belongs to the era without sessions."""
        return self.session is None

    @property
    def meta(self) -> JsonObject:
        """What the request says about itself."""
        found = self.params.get("_meta")
        return found if isinstance(found, dict) else {}

    @property
    def knows_tasks(self) -> bool:
        """Whether the client may be handed a task instead of a result."""
        extensions = self.capabilities.get("extensions")
        return self.stateless and isinstance(extensions, dict) and TASKS_EXTENSION in extensions

    def answer(self, result: JsonObject) -> None:
        """Answer with a result; the stateless era says what type it has."""
        if self.answered:
            return
        if self.stateless and "resultType" not in result:
            result = {"resultType": "complete", **result}
        self._close(encode_result(self.id, result))

    def refuse(self, error: ProtocolError, *, anonymous: bool = False) -> None:
        """Answer with an error, without the id where that stands for something else."""
        if not self.answered:
            named = None if anonymous else self.id
            self._close(encode_error(named, error_object(error)), error.number)

    def _close(self, message: bytes, number: int = 0) -> None:
        self.answered = True
        self._leave()
        self.outlet.finish(message, number)

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification that belongs to this request, unless it is answered."""
        if not self.answered:
            await self.outlet.send(encode_notification(method, params))

    def cancel(self) -> None:
        """End the work without an answer; nothing happens if it is answered."""
        if self.answered:
            return
        self.answered = True
        self._leave()
        self.outlet.finish(None)
        self.stop()

    def stop(self) -> None:
        """End the work on it."""
        if self.task is not None:
            self.task.cancel()

    def _leave(self) -> None:
        if self.session is not None and self.session.running.get(self.id) is self:
            del self.session.running[self.id]


def error_object(error: ProtocolError) -> ErrorObject:
    """Return an error as the wire has it."""
    if error.data is None:
        return ErrorObject(error.number, error.message)
    return ErrorObject(error.number, error.message, cast("Json", error.data))
