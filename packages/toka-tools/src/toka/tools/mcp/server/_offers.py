"""What a server may offer beside tools. Objects of the protocol are plain JSON here.

Whoever wants classes for them finds them in `mcp-types`, whose `model_dump(mode="json",
by_alias=True, exclude_none=True)` is what these methods return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.tools._context import ToolContext
    from toka.types import Json, JsonObject


class Resources(Protocol):
    """Data that a client may read; `context.granted` says what its caller may see."""

    async def resources(self, context: ToolContext) -> Sequence[JsonObject]:
        """Return a description of each, with its `uri` and `name`."""
        ...

    async def templates(self, context: ToolContext) -> Sequence[JsonObject]:
        """Return a description of each kind, with its `uriTemplate` and `name`."""
        ...

    async def read(self, uri: str, context: ToolContext) -> Sequence[JsonObject] | None:
        """Return the contents, or None if there is no such resource."""
        ...


class Prompts(Protocol):
    """Texts that a person may begin with."""

    async def prompts(self, context: ToolContext) -> Sequence[JsonObject]:
        """Return a description of each, with its `name`."""
        ...

    async def get(
        self, name: str, arguments: JsonObject, context: ToolContext
    ) -> JsonObject | None:
        """Return an object with `messages`, or None if there is no such prompt."""
        ...


class Completions(Protocol):
    """Suggestions while an argument is typed."""

    async def complete(
        self, reference: JsonObject, argument: JsonObject, context: ToolContext
    ) -> Sequence[Json]:
        """Return values that go on from what was typed, the best first, 100 at most."""
        ...
