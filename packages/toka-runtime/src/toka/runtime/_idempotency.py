"""Answers that were given, so that the same request gets the same answer.

A key is good for the subject that used it. The log carries it as a tag of the first event of the
answer, so that the window is rebuilt on recovery and no second store can disagree with the log.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

from toka.types import AgentId, root_of

if TYPE_CHECKING:
    from collections.abc import Container

    from toka.store.core import Event

WINDOW: Final = 100_000
"""Answers kept, newest first; an older key counts as new."""

_LASTING: Final = "answer:"
_OWN: Final = "family-answer:"

AnswerRow: TypeAlias = tuple[str, int, int, bool]
"""Subject and key, first position, count, and whether a family asked it of itself."""


@attrs.frozen
class Answer:
    """Where in the log the answer to a key stands."""

    first: int
    count: int


def tag_of(subject: str, key: str, count: int, *, own: bool) -> str:
    """Return the tag that marks the first of `count` events as the answer to `key`.

    Args:
        subject: Who asked.
        key: Under which key.
        count: How many events the answer has.
        own: Whether it is about the subject's own family, see `is_own`.
    """
    return f"{_OWN if own else _LASTING}{count}:{subject}\n{key}"


def is_own(subject: str, stream: str, living: Container[str]) -> bool:
    """Say whether an answer is about its subject's own family, which lives on.

    Args:
        subject: Who asked.
        stream: The stream of the answer's last event.
        living: The families that live after it.
    """
    family = root_of(AgentId(stream))
    return family == root_of(AgentId(subject)) and family in living


class AnswerWindow:
    """The newest answers by subject and key.

    What agents asked of their own family is kept as long as the family lives: once it has ended,
    whatever would be asked of it again is refused, so that nothing can be done twice. Only answers
    to others stay behind, up to the size of the window.
    """

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._lasting: OrderedDict[str, Answer] = OrderedDict()
        self._of_families: dict[str, OrderedDict[str, Answer]] = {}

    def __len__(self) -> int:
        return len(self._lasting) + sum(len(own) for own in self._of_families.values())

    def find(self, subject: str, key: str) -> Answer | None:
        """Return the answer that `subject` was given for `key`, if it is still known."""
        name = f"{subject}\n{key}"
        own = self._of_families.get(root_of(AgentId(subject)), self._lasting)
        return own.get(name) or self._lasting.get(name)

    def remember(self, subject: str, key: str, answer: Answer, *, own: bool) -> None:
        """Keep an answer; forget the oldest ones beyond the window.

        Args:
            subject: Who asked.
            key: Under which key.
            answer: Where it stands.
            own: Whether it is about the subject's own family, see `is_own`.
        """
        self._keep(f"{subject}\n{key}", answer, own=own)

    def observe(self, event: Event) -> None:
        """Take up an answer from the log, on recovery."""
        for tag in event.tags:
            if tag.startswith((_LASTING, _OWN)):
                _, count, name = tag.split(":", 2)
                answer = Answer(event.position, int(count))
                self._keep(name, answer, own=tag.startswith(_OWN))

    def _keep(self, name: str, answer: Answer, *, own: bool) -> None:
        answers = self._lasting
        if own:
            family = root_of(AgentId(name.partition("\n")[0]))
            answers = self._of_families.setdefault(family, OrderedDict())
        answers[name] = answer
        while len(answers) > self._size:
            answers.popitem(last=False)

    def forget(self, stream: str, living: Container[str]) -> None:
        """Forget what a family asked of itself, if a stream is that of its root and it has ended.

        Args:
            stream: Of an event that was just committed.
            living: The families that live after it.
        """
        if stream in self._of_families and stream not in living:
            del self._of_families[stream]

    def retain(self, living: Container[str]) -> None:
        """Forget what all other families asked of themselves."""
        for family in [family for family in self._of_families if family not in living]:
            del self._of_families[family]

    def dump(self) -> list[AnswerRow]:
        """Return the window as data, oldest first."""
        families = self._of_families.values()
        return [
            (name, answer.first, answer.count, own)
            for own, kept in ((False, [self._lasting]), (True, families))
            for answers in kept
            for name, answer in answers.items()
        ]

    @classmethod
    def load(cls, rows: list[AnswerRow], size: int = WINDOW) -> AnswerWindow:
        """Return the window that `dump` described."""
        window = cls(size)
        for name, first, count, own in rows:
            window._keep(name, Answer(first, count), own=own)
        return window


class SavedRecovery(msgspec.Struct, frozen=True):
    """What the runtime keeps in a snapshot beside the kernel's own bytes."""

    kernel: bytes
    answers: list[AnswerRow]
