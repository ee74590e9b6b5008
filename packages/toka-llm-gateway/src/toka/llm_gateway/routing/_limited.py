"""Only so many calls at once, and a fair queue for the others."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final

from toka.llm_gateway._errors import Overloaded
from toka.llm_gateway.routing._events import closable
from toka.types import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import anyio

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import Estimate, ModelResponse

TENANT: Final = "tenant"
"""The label of a request that says whose it is."""


class FairGate:
    """Lets so many pass at once. Tenants that wait take turns, each in the order it came."""

    def __init__(self, limit: int, max_waiting: int) -> None:
        """Open the gate.

        Raises:
            InvalidValueError: The limit is below one, or the queue below none.

        """
        if limit < 1 or max_waiting < 0:
            raise InvalidValueError("A gate needs a limit from 1 and a queue from 0.")
        self._free = limit
        self._max_waiting: Final = max_waiting
        self._waiting: Final[dict[str, deque[anyio.Event]]] = {}
        self._count = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._count

    @asynccontextmanager
    async def passing(self, tenant: str) -> AsyncGenerator[None, None]:
        """Wait for a turn, and keep it while inside.

        Raises:
            Overloaded: Too many wait already.

        """
        await self._enter(tenant)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, tenant: str) -> None:
        if self._free:
            self._free -= 1
            return
        if self._count >= self._max_waiting:
            raise Overloaded(
                f"{self._count} calls wait for this model already.",
                hint="Come back later, or allow more at once.",
            )
        import anyio  # noqa: PLC0415 - 10 ms at import; whoever calls has it loaded

        turn = anyio.Event()
        self._waiting.setdefault(tenant, deque()).append(turn)
        self._count += 1
        try:
            await turn.wait()
        except BaseException:
            # Cancelled while waiting; a turn that was given just then goes to the next.
            if turn.is_set():
                self._leave()
            else:
                self._forget(tenant, turn)
            raise

    def _leave(self) -> None:
        for tenant, queue in self._waiting.items():
            turn = queue.popleft()
            self._count -= 1
            # To the end of the round, or out of it.
            del self._waiting[tenant]
            if queue:
                self._waiting[tenant] = queue
            turn.set()
            return
        self._free += 1

    def _forget(self, tenant: str, turn: anyio.Event) -> None:
        queue = self._waiting[tenant]
        queue.remove(turn)
        self._count -= 1
        if not queue:
            del self._waiting[tenant]


class LimitedModel:
    """A model that answers only so many calls at once.

    Requests that carry the label `tenant` wait in a queue of that tenant; the queues take turns, so
    that one with a thousand calls does not keep another's single one waiting.
    """

    def __init__(self, model: Model, limit: int, *, max_waiting: int = 1000) -> None:
        """Put a gate before a model, which is closed with this one.

        Args:
            model: What is asked.
            limit: Calls at once.
            max_waiting: Calls that may wait; one more is refused with `Overloaded`.

        Raises:
            InvalidValueError: The limit is below one, or the queue below none.

        """
        self.provider: Final = model.provider
        self.name: Final = model.name
        self._model: Final = model
        self._gate: Final = FairGate(limit, max_waiting)

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return self._gate.waiting

    async def complete(self, request: ModelRequest) -> ModelResponse:
        async with self._gate.passing(request.metadata.get(TENANT, "")):
            return await self._model.complete(request)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        async with (
            self._gate.passing(request.metadata.get(TENANT, "")),
            aclosing(closable(self._model.stream(request))) as events,
        ):
            async for event in events:
                yield event

    def estimate(self, request: ModelRequest) -> Estimate:
        return self._model.estimate(request)

    async def aclose(self) -> None:
        await self._model.aclose()
