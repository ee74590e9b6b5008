"""What a failure is over HTTP: a status, whether to ask again, and words that SDKs know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import (
    BudgetExhausted,
    CallFailed,
    ContentFiltered,
    ContextTooLong,
    GuardRefused,
    InvalidRequest,
    LlmFailure,
    ModelNotFound,
    ModelTimeout,
    NotAllowed,
    NotAuthenticated,
    Overloaded,
    RateLimited,
    RequestRefused,
    RoutesUnavailable,
    ToolArgumentsInvalid,
)
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class Failure:
    """A failure as it is answered."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str]


_STATUSES: Final[tuple[tuple[type[LlmFailure], int, str], ...]] = (
    (NotAuthenticated, 401, "invalid_api_key"),
    # Never a 429: SDKs would come back for it.
    (BudgetExhausted, 402, "budget_exhausted"),
    (NotAllowed, 403, "permission_denied"),
    (GuardRefused, 400, "guard_refused"),
    (RequestRefused, 403, ""),
    (ContextTooLong, 400, "context_length_exceeded"),
    (ContentFiltered, 400, "content_filter"),
    (ModelNotFound, 404, "model_not_found"),
    (InvalidRequest, 400, ""),
    (RateLimited, 429, "rate_limit_exceeded"),
    (Overloaded, 503, "overloaded"),
    (RoutesUnavailable, 503, "overloaded"),
    (ModelTimeout, 504, "timeout"),
    # The model's fault, and worth another try by whoever asked; the provider answered.
    (ToolArgumentsInvalid, 502, "tool_arguments_invalid"),
    # All others are between the gateway and a provider: its key, its credit, its network.
    (CallFailed, 502, ""),
)
_WAITABLE: Final = frozenset({429, 503})


def failure_of(error: LlmFailure) -> Failure:
    """Return how a failure is answered.

    The gateway has tried again already where that could help: callers are told not to, unless the
    provider has named a time or has no capacity.
    """
    matching = [(status, code) for kind, status, code in _STATUSES if isinstance(error, kind)]
    status, code = matching[0] if matching else (500, "")
    headers = {"x-should-retry": "true" if status in _WAITABLE else "false"}
    wait = error.retry_after_ns if isinstance(error, CallFailed) else None
    if wait is not None:
        headers["retry-after"] = str(-(-wait // NANOSECONDS))
    text = f"{error.message} {error.hint}" if error.hint else error.message
    return Failure(status, code or error.code, text, headers)
