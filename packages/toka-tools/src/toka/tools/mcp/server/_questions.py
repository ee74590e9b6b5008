"""What a tool may ask of the other side, and whether an answer is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.tools._errors import InvalidArgumentsError
from toka.tools._schema import check_arguments, check_depth, compile_schema
from toka.tools.mcp._errors import INVALID_PARAMS, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.types import Json, JsonObject

_CAPABILITY: Final = {
    "elicitation/create": "elicitation",
    "roots/list": "roots",
    "sampling/createMessage": "sampling",
}


@attrs.frozen
class Question:
    """A request of the server to the client: to a person, to its model, or for its directories."""

    method: str
    params: JsonObject

    @classmethod
    def form(cls, message: str, schema: JsonObject) -> Question:
        """Ask a person to fill in a form.

        Args:
            message: What it is for.
            schema: JSON Schema of an object whose members are text, numbers, booleans or choices.
        """
        params: JsonObject = {"mode": "form", "message": message, "requestedSchema": schema}
        return cls("elicitation/create", params)

    @classmethod
    def sampling(cls, prompt: str, *, max_tokens: int = 1_000) -> Question:
        """Ask the client's model to go on after one message of a user."""
        message: JsonObject = {"role": "user", "content": {"type": "text", "text": prompt}}
        return cls("sampling/createMessage", {"messages": [message], "maxTokens": max_tokens})

    @classmethod
    def roots(cls) -> Question:
        """Ask which directories the client works in."""
        return cls("roots/list", {})

    @property
    def capability(self) -> str:
        """What a client has to declare before it may be asked this."""
        return _CAPABILITY.get(self.method, self.method)

    def as_json(self) -> JsonObject:
        """Return it as a request without an id."""
        return {"method": self.method, "params": self.params}

    def check(self, answer: Json) -> JsonObject:
        """Return the answer, if it is one to this question.

        Raises:
            ProtocolError: It is not; `INVALID_PARAMS`.
        """
        if not isinstance(answer, dict):
            raise ProtocolError("An answer is an object.", INVALID_PARAMS)
        check_depth(answer, self.method)
        if self.method == "elicitation/create":
            self._check_form(answer)
        elif self.method == "roots/list" and not isinstance(answer.get("roots"), list):
            raise ProtocolError("The answer to roots/list holds roots.", INVALID_PARAMS)
        elif self.method == "sampling/createMessage" and "content" not in answer:
            raise ProtocolError("The answer of a model holds content.", INVALID_PARAMS)
        return answer

    def _check_form(self, answer: JsonObject) -> None:
        if answer.get("action") not in {"accept", "decline", "cancel"}:
            raise ProtocolError("A person accepts, declines or cancels.", INVALID_PARAMS)
        if answer["action"] != "accept":
            return
        content, schema = answer.get("content", {}), self.params.get("requestedSchema")
        if not isinstance(content, dict):
            raise ProtocolError("The content of a form is an object.", INVALID_PARAMS)
        try:
            check_arguments(compile_schema(cast("JsonObject", schema), "form"), content, "the form")
        except InvalidArgumentsError as error:
            raise ProtocolError(f"The form is not filled in: {error}", INVALID_PARAMS) from error


def missing(capabilities: JsonObject, questions: Sequence[Question]) -> JsonObject:
    """Return the capabilities that these questions need and the client did not declare."""
    wanted = {question.capability for question in questions}
    return {name: {} for name in sorted(wanted - set(capabilities))}
