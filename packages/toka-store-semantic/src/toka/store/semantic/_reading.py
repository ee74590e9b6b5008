"""Events as vectors, for plug-ins: what has a text is embedded in a worker thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.store.core import Event
    from toka.store.semantic._embedder import Embedder, Vectors
    from toka.store.semantic._text import TextExtractor


async def read_events(
    events: Sequence[Event], embedder: Embedder, extractor: TextExtractor
) -> tuple[list[Event], Vectors]:
    """Return the events that have a text, and a row for each of them."""

    def work() -> tuple[list[Event], Vectors]:
        texts = [(event, text) for event in events if (text := extractor(event).strip())]
        return [event for event, _ in texts], embedder.embed([text for _, text in texts])

    return await anyio.to_thread.run_sync(work)
