"""Answers to questions that mean the same, in other words.

Vectors see what a question is about and overlook what decides its answer: a number, a name, a
negation. So beside being near, two questions must have the same ones in the same order, and a
question must be short: of a long text a vector keeps the subject only.
"""

from __future__ import annotations

import re
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway._messages import Text
from toka.llm_gateway._response import ModelResponse
from toka.llm_gateway.routing._cached import digest_of, free
from toka.llm_gateway.routing._events import closable, events_of
from toka.types import NANOSECONDS, Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.llm_gateway._events import StreamEvent
    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import Estimate
    from toka.store.semantic import Embedder, Vectors

_LONGEST: Final = 300
"""Characters of a question that is compared."""

_DECISIVE: Final = (
    r"[\w.,:/+*-]*\d[\w.,:/+*-]*"
    r"|\b(?i:no|not|never|none|nothing|nobody|without|except|cannot|\w+n['\u2019]t)\b"
    r"|\b[A-Z]\w*"
)
"""Whatever holds a digit, words of negation, and capitalised words, which are mostly names."""

_OPENINGS: Final = frozenset(
    {
        "a", "an", "and", "are", "at", "can", "could", "describe", "did", "do", "does",
        "explain", "for", "give", "had", "has", "have", "he", "her", "his", "how", "i",
        "if", "in", "is", "it", "list", "may", "might", "must", "my", "of", "on", "or",
        "our", "please", "she", "should", "show", "summarise", "summarize", "tell", "that",
        "the", "their", "there", "these", "they", "this", "those", "to", "translate", "was",
        "we", "were", "what", "when", "where", "which", "who", "whom", "whose", "why",
        "will", "would", "write", "you", "your",
    }
)  # fmt: skip
"""Words that are capitalised where a sentence begins, and are no names."""


@attrs.frozen
class _Kept:
    """A question that was answered."""

    circumstances: bytes
    """A digest of everything in the request but the question's words."""
    decisive: tuple[str, ...]
    vector: Vectors = attrs.field(eq=False, repr=False)
    until: int
    response: ModelResponse


@attrs.frozen
class _Question:
    """What is looked for."""

    circumstances: bytes
    decisive: tuple[str, ...]
    vector: Vectors = attrs.field(eq=False, repr=False)


class AlikeModel:
    """Gives the answer to a question that means the same as an earlier one, for a while.

    The same tenant must have asked it, with everything else in the request equal. Only questions in
    one piece of text are compared, and never where there are tools: what a tool returned or is to
    do is no matter of wording. An answer from here costs nothing and says so in `cached`.
    """

    def __init__(
        self,
        model: Model,
        embedder: Embedder,
        *,
        alike: float = 0.9,
        ttl: float = 3600.0,
        max_entries: int = 1000,
        clock: Clock | None = None,
    ) -> None:
        """Put a cache before a model, which is closed with this one.

        Args:
            model: What is asked where nothing is near enough.
            embedder: What makes vectors of questions, such as `toka.store.semantic`'s.
            alike: The cosine from which on two questions mean the same, up to 1.
            ttl: Seconds for which an answer is good.
            max_entries: How many are kept; the oldest goes first.
            clock: Where the time comes from.

        Raises:
            ConfigurationInvalid: `alike` is no cosine above what unrelated texts reach.

        """
        if not embedder.unrelated < alike <= 1:
            raise ConfigurationInvalid(
                f"Texts that have nothing in common reach {embedder.unrelated} with"
                f" {embedder.name}; {alike} says nothing.",
                hint="Take a number above that, and at most 1, for example 0.9.",
            )
        self.provider: Final = model.provider
        self.name: Final = model.name
        self._model: Final = model
        self._embedder: Final = embedder
        self._alike: Final = alike
        self._ttl: Final = int(ttl * NANOSECONDS)
        self._clock: Final[Clock] = SystemClock() if clock is None else clock
        self._kept: Final[deque[_Kept]] = deque(maxlen=max_entries)
        # An embedder is called by one thread at a time.
        import anyio  # noqa: PLC0415 - 10 ms at import

        self._embedding: Final = anyio.CapacityLimiter(1)

    async def complete(self, request: ModelRequest) -> ModelResponse:
        question = await self._question(request)
        found = None if question is None else self._find(question)
        if found is not None:
            return found
        response = await self._model.complete(request)
        self._keep(question, response)
        return response

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
        question = await self._question(request)
        found = None if question is None else self._find(question)
        if found is not None:
            for event in events_of(found):
                yield event
            return
        async with aclosing(closable(self._model.stream(request))) as events:
            async for event in events:
                if isinstance(event, ModelResponse):
                    self._keep(question, event)
                yield event

    def estimate(self, request: ModelRequest) -> Estimate:
        return self._model.estimate(request)

    async def aclose(self) -> None:
        await self._model.aclose()

    async def _question(self, request: ModelRequest) -> _Question | None:
        """Return what is looked for; None where wording is not all that matters."""
        last = request.messages[-1]
        if request.tools or last.role != "user" or len(last.parts) != 1:
            return None
        said = last.parts[0]
        if not isinstance(said, Text) or not 0 < len(said.text.strip()) <= _LONGEST:
            return None
        rest = (*request.messages[:-1], attrs.evolve(last, parts=(attrs.evolve(said, text=""),)))
        circumstances = digest_of(self.provider, self.name, attrs.evolve(request, messages=rest))
        import anyio.to_thread  # noqa: PLC0415 - see above

        rows = await anyio.to_thread.run_sync(
            self._embedder.embed, [said.text], limiter=self._embedding
        )
        return _Question(circumstances, _decisive(said.text), rows[0])

    def _find(self, question: _Question) -> ModelResponse | None:
        import numpy  # noqa: PLC0415 - loaded with any embedder

        now = self._clock.monotonic()
        near = [
            kept
            for kept in self._kept
            if kept.circumstances == question.circumstances
            and kept.decisive == question.decisive
            and now < kept.until
        ]
        if not near:
            return None
        cosines = numpy.stack([kept.vector for kept in near]) @ question.vector
        best = int(cosines.argmax())
        return free(near[best].response) if cosines[best] >= self._alike else None

    def _keep(self, question: _Question | None, response: ModelResponse) -> None:
        if question is not None:
            until = self._clock.monotonic() + self._ttl
            self._kept.append(
                _Kept(question.circumstances, question.decisive, question.vector, until, response)
            )


def _decisive(text: str) -> tuple[str, ...]:
    found = [each.strip(".,:").lower() for each in re.findall(_DECISIVE, text)]
    return tuple([each for each in found if each not in _OPENINGS])
