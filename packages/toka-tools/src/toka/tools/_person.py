"""A person to whom a tool can turn, and who may take their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@attrs.frozen
class Question:
    """What a person is asked."""

    text: str
    """Written by a model, so no more than text."""
    choices: tuple[str, ...] = ()
    """The answers to choose from; none for one in their own words."""
    who: str = "operator"
    """Whom it is for."""
    key: str = ""
    """The same for every attempt of one step: who is asked again under it is not bothered again."""


class Person(Protocol):
    """Brings questions to people, and their answers back."""

    async def ask(self, question: Question) -> str:
        """Return the answer, however long that takes; being cancelled takes the question back."""
        ...


@attrs.frozen
class CallbackPerson:
    """Asks by calling a function of this process."""

    callback: Callable[[Question], Awaitable[str]]

    async def ask(self, question: Question) -> str:
        """Return what the function returns."""
        return await self.callback(question)
