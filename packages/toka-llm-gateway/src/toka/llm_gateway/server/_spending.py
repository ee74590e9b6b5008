"""One call's money: the most that it can take is set aside, what it took is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import BudgetExhausted
from toka.llm_gateway._events import ArgumentsDelta, ReasoningDelta, TextDelta
from toka.llm_gateway._response import ModelResponse
from toka.types import NOTHING, Amounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import Cost, Estimate, Usage
    from toka.llm_gateway.server._access import Tenant
    from toka.llm_gateway.server._ledger import Ledger

_CHARACTERS_PER_TOKEN: Final = 3


class Reservation:
    """What a call can take at most. It must be settled, however the call ends."""

    def __init__(
        self, ledger: Ledger, tenant: Tenant, name: str, estimate: Callable[[], Estimate]
    ) -> None:
        """Set it aside; where nobody keeps accounts, nothing is estimated.

        Raises:
            BudgetExhausted: There is not so much left, or money is limited and the price unknown.

        """
        self._ledger: Final = ledger
        self._accounts: Final = tenant.accounts
        self._name: Final = name
        self.amounts = NOTHING
        if self._accounts:
            self.amounts = self.most(estimate())
            ledger.reserve(self._accounts, self.amounts)

    def settle(self, used: Callable[[], Amounts]) -> None:
        """Debit what the call took, and give back the rest."""
        if self._accounts:
            self._ledger.settle(self._accounts, self.amounts, used())

    def most(self, estimate: Estimate) -> Amounts:
        """Return an estimate as amounts of a budget.

        Raises:
            BudgetExhausted: Money is limited and the price unknown.

        """
        if estimate.cost is None and any(each.limit.money is not None for each in self._accounts):
            raise BudgetExhausted(
                f"The token limits money, and the price of {self._name!r} is unknown.",
                hint="Add the model to the price table.",
            )
        money = 0 if estimate.cost is None else estimate.cost.micro_usd
        return Amounts(money, estimate.input_tokens + estimate.max_output_tokens, 1)

    def told(self, usage: Usage, cost: Cost | None) -> Amounts:
        """Return what a provider's account of a call amounts to; all of it where it tells none."""
        if not usage.reported:
            return self.amounts
        tokens = (
            usage.input_tokens
            + usage.cache_read_tokens
            + usage.cache_write_tokens
            + usage.output_tokens
        )
        return Amounts(self.amounts.money if cost is None else cost.micro_usd, tokens, 1)


class Spending:
    """Follows one call to a model."""

    def __init__(self, ledger: Ledger, tenant: Tenant, model: Model, request: ModelRequest) -> None:
        """Set aside what the call can take at most.

        Raises:
            BudgetExhausted: There is not so much left, or money is limited and the price unknown.

        """
        self._model: Final = model
        self._request: Final = request
        self._streamed = 0
        self._response: ModelResponse | None = None
        self._reserved: Final = Reservation(
            ledger, tenant, model.name, lambda: model.estimate(request)
        )

    def saw(self, event: StreamEvent) -> None:
        """Take notice of what was handed out."""
        match event:
            case TextDelta(text) | ReasoningDelta(text) | ArgumentsDelta(_, text):
                self._streamed += len(text)
            case ModelResponse():
                self._response = event
            case _:
                pass

    def settle(self) -> None:
        """Debit what the call took. What broke off half way is reckoned from what came of it."""
        self._reserved.settle(self._used)

    def _used(self) -> Amounts:
        if self._response is not None:
            return self._reserved.told(self._response.usage, self._response.cost)
        # Where nothing came, nothing is billed.
        return self._partly() if self._streamed else NOTHING

    def _partly(self) -> Amounts:
        came = max(1, self._streamed // _CHARACTERS_PER_TOKEN)
        short = attrs.evolve(
            self._request, max_output_tokens=min(came, self._request.max_output_tokens)
        )
        return self._reserved.most(self._model.estimate(short))
