"""Answers that were given, so that the same request gets the same answer.

A key is good for the subject that used it. The log carries it as a tag of the first event of the
answer, so that the window is rebuilt on recovery and no second store can disagree with the log.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

if TYPE_CHECKING:
    from toka.store.core import Event

WINDOW: Final = 100_000
"""Answers kept, newest first; an older key counts as new."""

_PREFIX: Final = "answer:"


@attrs.frozen
class Answer:
    """Where in the log the answer to a key stands."""

    first: int
    count: int


def tag_of(subject: str, key: str, count: int) -> str:
    """Return the tag that marks the first of `count` events as the answer to `key`."""
    return f"{_PREFIX}{count}:{subject}\n{key}"


class AnswerWindow:
    """The newest answers by subject and key."""

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def find(self, subject: str, key: str) -> Answer | None:
        """Return the answer that `subject` was given for `key`, if it is still known."""
        return self._answers.get(f"{subject}\n{key}")

    def remember(self, subject: str, key: str, answer: Answer) -> None:
        """Keep an answer; forget the oldest ones beyond the window."""
        self._keep(f"{subject}\n{key}", answer)

    def observe(self, event: Event) -> None:
        """Take up an answer from the log, on recovery."""
        for tag in event.tags:
            if tag.startswith(_PREFIX):
                count, _, name = tag.removeprefix(_PREFIX).partition(":")
                self._keep(name, Answer(event.position, int(count)))

    def _keep(self, name: str, answer: Answer) -> None:
        self._answers[name] = answer
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)

    def dump(self) -> list[tuple[str, int, int]]:
        """Return the window as data, oldest first."""
        return [(name, answer.first, answer.count) for name, answer in self._answers.items()]

    @classmethod
    def load(cls, rows: list[tuple[str, int, int]], size: int = WINDOW) -> AnswerWindow:
        """Return the window that `dump` described."""
        window = cls(size)
        for name, first, count in rows:
            window._keep(name, Answer(first, count))
        return window


class SavedRecovery(msgspec.Struct, frozen=True):
    """What the runtime keeps in a snapshot beside the kernel's own bytes."""

    kernel: bytes
    answers: list[tuple[str, int, int]]
