"""The protocol that every model fulfils, whatever stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import Estimate, ModelResponse


class Model(Protocol):
    """Answers conversations."""

    @property
    def provider(self) -> str:
        """Who runs the model, for example `anthropic`."""
        ...

    @property
    def name(self) -> str:
        """The model that is asked unless a request names another."""
        ...

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """Return the whole answer.

        Raises:
            LlmFailure: There is no whole answer; the class says why and what helps.

        """
        ...

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Yield the answer as it comes, and the whole of it as the last event.

        Close the iterator (`contextlib.aclosing`) when leaving it before its end.

        Raises:
            LlmFailure: The answer did not come to its end; what was yielded is only a part of it.

        """
        ...

    def estimate(self, request: ModelRequest) -> Estimate:
        """Return what the call is reckoned to take at most, without making it."""
        ...

    async def aclose(self) -> None:
        """Release connections. Calling it twice is harmless."""
        ...
