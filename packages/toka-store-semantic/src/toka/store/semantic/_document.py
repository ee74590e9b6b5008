"""What the index keeps of an event, and what a search returns of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from toka.store.semantic._words import question_words

if TYPE_CHECKING:
    from toka.store.core import Event
    from toka.types import EventId

_WORD: Final = re.compile(r"\w+")
_SNIPPET: Final = 160
_STEM: Final = 5
"""Letters by which a word is found again in other forms of it."""


@attrs.frozen
class Document:
    """An event as the index knows it; the event itself is in the log, at `position`."""

    position: int
    id: EventId
    stream: str
    kind: str
    time: int
    intent: str
    actor: str
    tags: tuple[str, ...]
    text: str = attrs.field(repr=False)

    @classmethod
    def of(cls, event: Event, text: str) -> Document:
        """Return what is kept of an event."""
        return cls(
            event.position,
            event.id,
            event.stream,
            event.kind,
            event.time,
            event.intent,
            event.actor,
            event.tags,
            text,
        )


@attrs.frozen
class Hit:
    """One event that a search has found."""

    document: Document
    score: float
    """From 0 to 1: first by every way of searching is 1. It orders the hits of one search."""
    similarity: float | None
    """The cosine with what was asked; None where only words were searched, or only they fit."""
    snippet: str
    """The line of the text that fits best."""


def snippet(text: str, query: str) -> str:
    """Return the line with most of a query's words, cut to a length that fits a terminal."""
    stems = {word[:_STEM] for word in question_words(query.casefold())}
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    best = max(lines, key=lambda line: (len(_found(line, stems)), -len(line)))
    if not _found(best, stems):
        best = " · ".join(lines[1:]) or lines[0]
    return _cut(" ".join(best.split()), stems)


def _found(line: str, stems: set[str]) -> set[str]:
    return stems & {word[:_STEM] for word in _WORD.findall(line.casefold())}


def _cut(line: str, stems: set[str]) -> str:
    """Keep the part of a long line in which the first of the words stands."""
    if len(line) <= _SNIPPET:
        return line
    words = _WORD.finditer(line)
    first = next((word.start() for word in words if word[0].casefold()[:_STEM] in stems), 0)
    begin = max(0, min(first - _SNIPPET // 3, len(line) - _SNIPPET))
    part = line[begin : begin + _SNIPPET]
    return f"{'…' if begin else ''}{part}{'…' if begin + _SNIPPET < len(line) else ''}"
