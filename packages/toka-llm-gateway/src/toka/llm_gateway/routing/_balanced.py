"""Several models as one: each call goes to the route that is expected to answer soonest.

What is expected is the mean of what was measured, which forgets slowly and notices a slow answer
at once (peak EWMA, as Finagle has it), times the calls that are under way there. Routes that fail
are left and left alone as with a `FallbackModel`, whose order this is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway.routing._fallback import FallbackModel, FallbackPolicy, Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.llm_gateway._model import Model
    from toka.types import Clock

_DEFAULTS: Final = FallbackPolicy()


class BalancedModel(FallbackModel):
    """Spreads calls over models that can stand for one another."""

    def __init__(
        self,
        models: Sequence[Model],
        *,
        weights: Sequence[float] | None = None,
        policy: FallbackPolicy = _DEFAULTS,
        clock: Clock | None = None,
    ) -> None:
        """Prepare to route; the models are closed with this one.

        Args:
            models: In any order.
            weights: How much each can bear beside the others; all the same if left out.
            policy: When to leave a route and when to come back.
            clock: Where the time comes from.

        Raises:
            ConfigurationInvalid: There is no model, or the weights are not one above 0 for each.

        """
        super().__init__(models, policy=policy, clock=clock)
        self._weights: Final = tuple(weights) if weights is not None else (1.0,) * len(models)
        if len(self._weights) != len(models) or min(self._weights) <= 0:
            raise ConfigurationInvalid("Each model needs a weight above 0.")

    def _order(self) -> list[Route]:
        weighed = zip(self._routes, self._weights, strict=True)
        return [route for route, _ in sorted(weighed, key=_load)]


def _load(weighed: tuple[Route, float]) -> tuple[float, float]:
    route, weight = weighed
    # Before anything is measured, and among equals, whoever has had least is next.
    return (route.in_flight + 1) * route.mean_ns / weight, route.calls / weight
