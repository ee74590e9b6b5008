"""The person at the other end, for tools that ask one without knowing of any protocol."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

import attrs

from toka.tools._errors import PersonDeclinedError
from toka.tools.mcp.server._questions import Question

if TYPE_CHECKING:
    from toka.tools import _person
    from toka.tools.mcp.server._conversation import Conversation
    from toka.types import Json, JsonObject


@attrs.frozen(eq=False)
class ClientPerson:
    """Puts a question to whoever sits at the client, as a form of one field."""

    talk: Conversation

    async def ask(self, question: _person.Question) -> Json:
        """Return the answer.

        Raises:
            PersonDeclinedError: They declined.
        """
        schema, wrapped = question.form, question.schema is None or not _is_form(question.schema)
        if wrapped:
            field = {"type": "string"} if _is_free(question) else question.form
            schema = {"type": "object", "properties": {"answer": field}, "required": ["answer"]}
        # Named by what it asks: in another round of the call it is the same question.
        name = hashlib.blake2b(repr(question.choices).encode() + question.text.encode()).hexdigest()
        key = f"person-{name[:16]}"
        given = (await self.talk.ask({key: Question.form(question.text, schema)}))[key]
        content = given.get("content")
        if given["action"] != "accept" or not isinstance(content, dict):
            raise PersonDeclinedError("They declined to answer.")
        return cast("JsonObject", content)["answer"] if wrapped else content


def _is_form(schema: JsonObject) -> bool:
    return schema.get("type") == "object"


def _is_free(question: _person.Question) -> bool:
    return question.schema is None and not question.choices
