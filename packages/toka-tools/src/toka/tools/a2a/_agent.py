"""An agent as the server sees it: something that is called with a message and brings news."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.tools.a2a._gate import Caller
    from toka.types import Json


@attrs.frozen
class Content:
    """One part of a message or an artifact: text, data, bytes, or a URL that nobody has fetched."""

    text: str | None = None
    data: Json = None
    raw: bytes | None = None
    url: str | None = None
    name: str = ""
    media_type: str = ""


@attrs.frozen
class AgentCall:
    """One message to an agent. All of it but the caller was written by somebody else."""

    task_id: str
    """Made here; the same for every message of one task."""
    context_id: str
    """What the caller calls the conversation. Not a secret, and not the caller's alone."""
    contents: tuple[Content, ...]
    caller: Caller
    turn: int = 0
    """How many messages of this task went before."""

    @property
    def text(self) -> str:
        """All text of the message."""
        return "\n".join(each.text for each in self.contents if each.text is not None)


@attrs.frozen
class Progress:
    """What the agent does right now."""

    text: str


@attrs.frozen
class Output:
    """Something that the agent made: an artifact of the task."""

    contents: tuple[Content, ...]
    name: str = ""

    @classmethod
    def of(cls, text: str, name: str = "") -> Output:
        """Return an artifact of text."""
        return cls((Content(text=text),), name)


@attrs.frozen
class Question:
    """What the agent needs to know before it goes on. Ends the turn; the answer is another call."""

    text: str


News: TypeAlias = Progress | Output | Question


class Agent(Protocol):
    """An async generator function, from a message to what comes of it."""

    def __call__(self, call: AgentCall, /) -> AsyncGenerator[News]:
        """Work on a message. The end of the generator completes the task.

        A `TokaError` fails the task, and the caller is told its text; of any other error only that
        there was one. When the task is cancelled, the generator is, where it waits.
        """
        ...
