"""What a server may ask of the client in the middle of a call, and who answers.

Nobody does unless the host says so: what a server wants to know from a person it could use against
them, and what it wants a model to say it could use against everyone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import attrs

from toka.tools.mcp._errors import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    CannotAskError,
    ProtocolError,
)

if TYPE_CHECKING:
    from toka.types import Json, JsonObject

ELICITATION: Final = "elicitation/create"
SAMPLING: Final = "sampling/createMessage"
ROOTS: Final = "roots/list"
PING: Final = "ping"


@attrs.frozen
class Question:
    """What a server wants to know from a person."""

    server: str
    text: str
    """Written by the server; show it as such."""
    schema: JsonObject
    """Of the answer: an object of plain values. Empty where a page is to be opened instead."""
    url: str | None = None
    """The page that the person is to open, in a browser and by themselves."""


@attrs.frozen
class Answer:
    """What the person said."""

    action: Literal["accept", "decline", "cancel"]
    content: JsonObject | None = None
    """The values, if they accept."""


AskPerson: TypeAlias = Callable[[Question], Awaitable[Answer]]
"""Puts a question to a person."""


@attrs.frozen
class Asked:
    """Answers what servers ask."""

    server: str
    ask_person: AskPerson | None = None

    @property
    def capabilities(self) -> JsonObject:
        """What the client says that it can do."""
        return {} if self.ask_person is None else {"elicitation": {"form": {}, "url": {}}}

    async def answer(self, method: str, params: Json) -> JsonObject:
        """Return the result of a request from the server.

        Raises:
            ProtocolError: It is refused; the error is for the server.
        """
        if method == PING:
            return {}
        if method == ELICITATION and self.ask_person is not None:
            return await self._elicit(params, self.ask_person)
        raise ProtocolError(f"{method[:80]} is not answered here.", METHOD_NOT_FOUND)

    async def _elicit(self, params: Json, ask_person: AskPerson) -> JsonObject:
        question = self._question(params)
        answer = await ask_person(question)
        result: dict[str, Json] = {"action": answer.action}
        if answer.action == "accept" and question.url is None:
            result["content"] = cast("Json", answer.content or {})
        return result

    def _question(self, params: Json) -> Question:
        if not isinstance(params, dict) or not isinstance(params.get("message"), str):
            raise ProtocolError("A question needs a message.", INVALID_PARAMS)
        text = cast("str", params["message"])
        if params.get("mode", "form") == "url":
            url = params.get("url")
            if not isinstance(url, str) or not url.startswith(("https://", "http://")):
                raise ProtocolError("A question by URL needs a URL.", INVALID_PARAMS)
            return Question(self.server, text, {}, url)
        schema = params.get("requestedSchema", {})
        if not isinstance(schema, dict):
            raise ProtocolError("A question needs a schema.", INVALID_PARAMS)
        return Question(self.server, text, schema)

    async def answer_all(self, requests: Json) -> JsonObject:
        """Answer all that a call needs to go on, in the way of 2026-07-28.

        Raises:
            CannotAskError: One of them cannot be answered, so the call cannot go on.
        """
        if not isinstance(requests, dict):
            return {}
        answers: dict[str, Json] = {}
        for key, request in requests.items():
            method = request.get("method") if isinstance(request, dict) else None
            if not isinstance(request, dict) or not isinstance(method, str):
                raise CannotAskError(f"{self.server} asked something that cannot be understood.")
            try:
                answers[key] = cast("Json", await self.answer(method, request.get("params")))
            except ProtocolError as error:
                raise CannotAskError(
                    f"{self.server} needs an answer to {ascii(method)[:60]} to go on, and nobody"
                    " gives one here.",
                    hint="Elicitation can be passed to a person; sampling and roots are refused.",
                    details={"server": self.server, "method": method[:80]},
                ) from error
        return answers
