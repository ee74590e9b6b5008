"""Several models as one: if the first is slow, the next is asked beside it, and the sooner wins.

It trades money for the slowest answers: the call that loses is cancelled, and its provider may bill
it. Streams are not hedged: they fall back, and have a limit for the first token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.llm_gateway._errors import CallFailed, ConfigurationInvalid
from toka.llm_gateway.routing._fallback import FallbackModel, FallbackPolicy, Trip

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anyio

    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import ModelResponse
    from toka.llm_gateway.routing._fallback import Route
    from toka.types import Clock

_DEFAULTS: Final = FallbackPolicy()


class HedgedModel(FallbackModel):
    """Asks the next model where the first has not answered after a while."""

    def __init__(
        self,
        models: Sequence[Model],
        *,
        after: float = 5.0,
        policy: FallbackPolicy = _DEFAULTS,
        clock: Clock | None = None,
    ) -> None:
        """Prepare to route; the models are closed with this one.

        Args:
            models: The preferred first.
            after: Seconds before the next is asked.
            policy: When to leave a route and when to come back.
            clock: Where the time of the policy comes from.

        Raises:
            ConfigurationInvalid: There is no model, or the time is not above 0.

        """
        super().__init__(models, policy=policy, clock=clock)
        if after <= 0:
            raise ConfigurationInvalid("The time before the next model is asked must be above 0.")
        self._after: Final = after

    async def complete(self, request: ModelRequest) -> ModelResponse:
        import anyio  # noqa: PLC0415 - 10 ms at import; whoever calls has it loaded

        trip = self._trip(request)
        race = _Race(trip, anyio.Event)
        async with anyio.create_task_group() as group:
            for route in trip.routes():
                group.start_soon(race.run, route, group.cancel_scope)
                if await race.over_within(self._after):
                    break
        if race.winner is not None:
            return race.winner
        raise race.stopped or trip.failure()


class _Race:
    """Calls beside one another: an answer ends all, a failure lets the next begin at once."""

    def __init__(self, trip: Trip, event: type[anyio.Event]) -> None:
        self._trip: Final = trip
        self._event: Final = event
        self.winner: ModelResponse | None = None
        self.stopped: CallFailed | None = None
        self._failed = self._event()

    async def run(self, route: Route, scope: anyio.CancelScope) -> None:
        try:
            with self._trip.watching(route):
                response = await route.model.complete(self._trip.request_for(route))
                self.winner = self._trip.arrived(response)
        except CallFailed as error:
            # One that no other route mends.
            self.stopped = error
        if self.winner is not None or self.stopped is not None:
            scope.cancel()
        self._failed.set()

    async def over_within(self, seconds: float) -> bool:
        """Wait for a call to end; say whether that was the end of all."""
        import anyio  # noqa: PLC0415 - 10 ms at import; whoever calls has it loaded

        with anyio.move_on_after(seconds):
            await self._failed.wait()
        self._failed = self._event()
        return self.winner is not None or self.stopped is not None
