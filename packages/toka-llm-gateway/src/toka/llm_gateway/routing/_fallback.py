"""Several models as one: the first healthy one answers.

A route that fails hands the call to the next. What the caller has seen of a stream by then is void:
a `StreamRestart` says so, and the next route answers from the start. The half answer is never given
to another model to be continued: many refuse that, and what came out would be neither's.
"""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final, Literal

import attrs

from toka.llm_gateway._errors import (
    CallFailed,
    ConfigurationInvalid,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    ModelTimeout,
    ResponseTooLarge,
    RoutesUnavailable,
    ToolArgumentsInvalid,
)
from toka.llm_gateway._events import StreamRestart
from toka.llm_gateway._response import Cost, Estimate, ModelResponse
from toka.llm_gateway.routing._breaker import CircuitBreaker, RouteState
from toka.llm_gateway.routing._events import closable
from toka.types import NANOSECONDS, Clock, InvalidValueError, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Sequence

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest


@attrs.frozen
class FallbackPolicy:
    """When to leave a route, and when to come back. Times are in seconds.

    Raises:
        InvalidValueError: A value is below its smallest.

    """

    failures: int = 3
    """Calls that fail in a row before a route is left alone. A timeout, or a refusal that names a
    time, counts as enough: the next caller is not to wait for it again."""
    cooldown: float = 10.0
    """How long a route is left alone before one call tries it again."""
    total: float = 600.0
    """No route is asked for the first time after so long; the one asked has limits of its own."""
    rescue: Literal["restart", "fail"] = "restart"
    """What becomes of a stream that breaks after content was handed out: another route begins anew,
    after a `StreamRestart`, or the failure is raised."""

    def __attrs_post_init__(self) -> None:
        if self.failures < 1 or min(self.cooldown, self.total) <= 0:
            raise InvalidValueError("A fallback policy needs failures from 1 and times above 0.")


@attrs.frozen
class RouteHealth:
    """What is known of one route."""

    provider: str
    model: str
    state: RouteState
    failures: int
    """In a row."""
    retry_after_ns: int
    """For how long it is left alone; zero if it is not."""
    last_error: str
    """The code of the failure that was last; empty if there was none."""


_DEFAULTS: Final = FallbackPolicy()
_FORGETTING: Final = 0.2


@attrs.define
class Route:
    """One model, and what is known of it."""

    model: Model
    breaker: CircuitBreaker
    last_error: str = ""
    calls: int = 0
    in_flight: int = 0
    mean_ns: float = 0.0
    """How long it takes to answer, slow answers counted at once and forgotten slowly."""

    def took(self, nanoseconds: int) -> None:
        """Take notice of an answer."""
        if nanoseconds > self.mean_ns:
            self.mean_ns = nanoseconds
        else:
            self.mean_ns += (nanoseconds - self.mean_ns) * _FORGETTING


class FallbackModel:
    """Asks models in order until one answers.

    A request that names a model means one of the first route's provider; routes to other
    providers answer with their own.
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        policy: FallbackPolicy = _DEFAULTS,
        clock: Clock | None = None,
    ) -> None:
        """Prepare to route; the models are closed with this one.

        Args:
            models: The preferred first.
            policy: When to leave a route and when to come back.
            clock: Where the time comes from.

        Raises:
            ConfigurationInvalid: There is no model.

        """
        if not models:
            raise ConfigurationInvalid("A fallback model needs at least one model.")
        self.provider: Final = models[0].provider
        self.name: Final = models[0].name
        self._policy: Final = policy
        self._clock: Final[Clock] = clock or SystemClock()
        self._routes: Final = [
            Route(model, CircuitBreaker(policy.failures, policy.cooldown)) for model in models
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({[route.model for route in self._routes]!r})"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        trip = self._trip(request)
        for route in trip.routes():
            with trip.watching(route):
                return trip.arrived(await route.model.complete(trip.request_for(route)))
        raise trip.failure()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        trip = self._trip(request)
        for route in trip.routes():
            void = trip.handed_out
            with trip.watching(route):
                asked = trip.request_for(route)
                async with aclosing(closable(route.model.stream(asked))) as events:
                    async for event in events:
                        if void:
                            void = False
                            yield StreamRestart(route.model.provider, route.model.name)
                        trip.handed_out = True
                        yield trip.arrived(event) if isinstance(event, ModelResponse) else event
                return
        raise trip.failure()

    def estimate(self, request: ModelRequest) -> Estimate:
        """Return the most that any route reckons with; a cost only if each of them knows one."""
        trip = self._trip(request)
        each = [route.model.estimate(trip.request_for(route)) for route in self._routes]
        costs = [estimate.cost for estimate in each if estimate.cost is not None]
        return Estimate(
            max(estimate.input_tokens for estimate in each),
            max(estimate.max_output_tokens for estimate in each),
            max(costs, default=Cost(0)) if len(costs) == len(each) else None,
        )

    def health(self) -> tuple[RouteHealth, ...]:
        """Return what is known of each route, in order."""
        now = self._clock.monotonic()
        return tuple(
            RouteHealth(
                route.model.provider,
                route.model.name,
                route.breaker.state(now),
                route.breaker.failures,
                route.breaker.remaining_ns(now),
                route.last_error,
            )
            for route in self._routes
        )

    def _order(self) -> list[Route]:
        """Return the routes in the order in which they are to be asked."""
        return self._routes

    def _trip(self, request: ModelRequest) -> Trip:
        return Trip(self._order(), self.provider, self._policy, self._clock, request)

    async def aclose(self) -> None:
        for route in self._routes:
            await route.model.aclose()


class Trip:
    """One call on its way past the routes."""

    def __init__(
        self,
        routes: Sequence[Route],
        provider: str,
        policy: FallbackPolicy,
        clock: Clock,
        request: ModelRequest,
    ) -> None:
        self.handed_out = False
        self._provider: Final = provider
        self._routes: Final = routes
        self._policy: Final = policy
        self._clock: Final = clock
        self._request: Final = request
        self._started: Final = clock.monotonic()
        self._failures: Final[list[CallFailed]] = []

    def routes(self) -> Iterator[Route]:
        end = self._started + int(self._policy.total * NANOSECONDS)
        for route in self._routes:
            now = self._clock.monotonic()
            if now < end and route.breaker.admit(now):
                yield route

    def request_for(self, route: Route) -> ModelRequest:
        if self._request.model is None or route.model.provider == self._provider:
            return self._request
        return attrs.evolve(self._request, model=None)

    @contextmanager
    def watching(self, route: Route) -> Generator[None]:
        """Tell the breaker how the call ends, and swallow a failure that another route may mend."""
        began = self._clock.monotonic()
        route.calls += 1
        route.in_flight += 1
        try:
            yield
        except CallFailed as error:
            self._failures.append(error)
            self._judge(route, error)
            if not self._may_go_on(error):
                raise
        except BaseException:
            # Cancelled, left by the caller, or a bug: nothing of it is the route's doing.
            route.breaker.ended()
            raise
        else:
            route.breaker.succeeded()
            route.took(self._clock.monotonic() - began)
        finally:
            route.in_flight -= 1

    def arrived(self, response: ModelResponse) -> ModelResponse:
        return attrs.evolve(
            response,
            attempts=response.attempts + sum(error.attempts for error in self._failures),
            duration_ns=self._clock.monotonic() - self._started,
        )

    def failure(self) -> CallFailed:
        """Return what to raise where no route answered: the first failure, the others hide it."""
        if self._failures:
            first = self._failures[0]
            first.add_details({"routes_failed": [error.code for error in self._failures]})
            return first
        now = self._clock.monotonic()
        wait = min(route.breaker.remaining_ns(now) for route in self._routes)
        return RoutesUnavailable(
            f"None of the {len(self._routes)} routes takes calls: each has failed of late.",
            hint="Come back after `retry_after_ns`, or add a route.",
            details={"retry_after_ns": wait, "errors": [each.last_error for each in self._routes]},
        )

    def _judge(self, route: Route, error: CallFailed) -> None:
        if _is_the_requests(error):
            route.breaker.ended()
            return
        route.last_error = error.code
        route.breaker.failed(
            self._clock.monotonic(),
            at_once=isinstance(error, ModelTimeout),
            pause_ns=error.retry_after_ns or 0,
        )

    def _may_go_on(self, error: CallFailed) -> bool:
        if self.handed_out and self._policy.rescue == "fail":
            return False
        if isinstance(error, ContentFiltered | ResponseTooLarge | ToolArgumentsInvalid):
            # Asking elsewhere would evade a policy, or pay twice for what was answered.
            return False
        if type(error) is InvalidRequest:
            # The request is at fault, unless this route is a substitute that cannot take it.
            return len(self._failures) > 1
        return True


def _is_the_requests(error: CallFailed) -> bool:
    """Say whether a failure tells nothing about the route's health."""
    if isinstance(error, ModelNotFound):
        return False
    return isinstance(
        error, InvalidRequest | ContextTooLong | ResponseTooLarge | ToolArgumentsInvalid
    )
