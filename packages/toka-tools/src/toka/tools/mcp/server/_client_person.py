"""The person at the other end, for tools that ask one without knowing of any protocol."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import attrs

from toka.tools._errors import NoPersonError
from toka.tools.mcp.server._questions import Question

if TYPE_CHECKING:
    from toka.tools import _person
    from toka.tools.mcp.server._conversation import Conversation
    from toka.types import JsonObject


@attrs.frozen(eq=False)
class ClientPerson:
    """Puts a question to whoever sits at the client, as a form of one field."""

    talk: Conversation

    async def ask(self, question: _person.Question) -> str:
        """Return the answer.

        Raises:
            NoPersonError: They declined.
        """
        field: JsonObject = {"type": "string"}
        if question.choices:
            field = {"type": "string", "enum": list(question.choices)}
        schema: JsonObject = {
            "type": "object",
            "properties": {"answer": field},
            "required": ["answer"],
        }
        # Named by what it asks: in another round of the call it is the same question.
        name = hashlib.blake2b(repr(question.choices).encode() + question.text.encode()).hexdigest()
        key = f"person-{name[:16]}"
        given = (await self.talk.ask({key: Question.form(question.text, schema)}))[key]
        content = given.get("content")
        answer = content.get("answer") if isinstance(content, dict) else None
        if given["action"] != "accept" or not isinstance(answer, str):
            raise NoPersonError("They declined to answer.")
        return answer
