"""A person to whom a tool can turn, and who may take their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toka.types import Json, JsonObject


MAX_ANSWER_CHARACTERS: Final = 20_000
"""Of an answer in their own words; a longer one is cut."""


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
    schema: JsonObject | None = None
    """JSON Schema of the answer, where it is to be more than a text or one of the choices."""
    timeout_ns: int | None = None
    """How long they have, where the question says."""

    @property
    def form(self) -> JsonObject:
        """JSON Schema of any answer to it."""
        if self.schema is not None:
            return self.schema
        if self.choices:
            return {"type": "string", "enum": list(self.choices)}
        return {"type": "string", "minLength": 1, "maxLength": MAX_ANSWER_CHARACTERS}


class Person(Protocol):
    """Brings questions to people, and their answers back."""

    async def ask(self, question: Question) -> Json:
        """Return the answer, however long that takes; being cancelled takes the question back."""
        ...


@runtime_checkable
class AsksPerson(Protocol):
    """A tool that is a question and nothing else.

    Who can keep a question for longer than a call lasts, asks it in place of the call.
    """

    def question(self, arguments: JsonObject) -> Question:
        """Return what a call with these arguments asks.

        Raises:
            InvalidArgumentsError: Nothing, because they do not fit.
        """
        ...

    def answered(self, answer: Json, by: str) -> Json:
        """Return the value of a call that was answered, and by whom."""
        ...


@attrs.frozen
class CallbackPerson:
    """Asks by calling a function of this process."""

    callback: Callable[[Question], Awaitable[Json]]

    async def ask(self, question: Question) -> Json:
        """Return what the function returns."""
        return await self.callback(question)
