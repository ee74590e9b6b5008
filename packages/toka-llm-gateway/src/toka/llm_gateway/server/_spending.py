"""One call's money: the most it can take is set aside, what it took is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import BudgetExhausted
from toka.llm_gateway._events import ArgumentsDelta, ReasoningDelta, TextDelta
from toka.llm_gateway._response import ModelResponse
from toka.types import NOTHING, Amounts

if TYPE_CHECKING:
    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import Estimate
    from toka.llm_gateway.server._access import Tenant
    from toka.llm_gateway.server._ledger import Ledger

_CHARACTERS_PER_TOKEN: Final = 3


class Spending:
    """Must be settled, however the call ends."""

    def __init__(self, ledger: Ledger, tenant: Tenant, model: Model, request: ModelRequest) -> None:
        """Set aside what the call can take at most.

        Raises:
            BudgetExhausted: There is not so much left, or money is limited and the price unknown.

        """
        self._ledger: Final = ledger
        self._accounts: Final = tenant.accounts
        self._model: Final = model
        self._request: Final = request
        self._reserved = NOTHING
        self._streamed = 0
        self._response: ModelResponse | None = None
        if self._accounts:
            self._reserved = self._most(model.estimate(request))
            ledger.reserve(self._accounts, self._reserved)

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
        if self._accounts:
            self._ledger.settle(self._accounts, self._reserved, self._used())

    def _most(self, estimate: Estimate) -> Amounts:
        if estimate.cost is None and any(each.limit.money is not None for each in self._accounts):
            raise BudgetExhausted(
                f"The token limits money, and the price of {self._model.name!r} is unknown.",
                hint="Add the model to the price table.",
            )
        money = 0 if estimate.cost is None else estimate.cost.micro_usd
        return Amounts(money, estimate.input_tokens + estimate.max_output_tokens, 1)

    def _used(self) -> Amounts:
        response = self._response
        if response is None:
            # Where nothing came, nothing is billed.
            return self._partly() if self._streamed else NOTHING
        if not response.usage.reported:
            return self._reserved
        usage = response.usage
        tokens = (
            usage.input_tokens
            + usage.cache_read_tokens
            + usage.cache_write_tokens
            + usage.output_tokens
        )
        money = self._reserved.money if response.cost is None else response.cost.micro_usd
        return Amounts(money, tokens, 1)

    def _partly(self) -> Amounts:
        came = max(1, self._streamed // _CHARACTERS_PER_TOKEN)
        short = attrs.evolve(
            self._request, max_output_tokens=min(came, self._request.max_output_tokens)
        )
        return self._most(self._model.estimate(short))
