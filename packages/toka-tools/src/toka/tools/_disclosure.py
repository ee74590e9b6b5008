"""Tools shown when they are needed, where showing them all would fill a model's context.

A model is given two tools: one to search a registry, one to load what it found. What is shown is
always in the same order, and what is loaded later comes after what was there, so that a cache of
prompts keeps its beginning. Hiding a tool is no protection: that is the capability's part.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final, cast

import attrs
import msgspec
from msgspec import Meta

from toka.tools._errors import InvalidArgumentsError
from toka.tools._typed import Output, TypedTool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from toka.tools._context import ToolContext, Workspace
    from toka.tools._registry import ToolRegistry
    from toka.tools._tool import Tool
    from toka.types import Json, SideEffect

MAX_FOUND: Final = 20
MAX_LOADED: Final = 128
_SUMMARY: Final = 200
_BYTES_PER_TOKEN: Final = 4
_WORD: Final = re.compile(r"[a-z]+|[0-9]+")
# Of BM25 (Robertson and Zaragoza, 2009): how much a word counts again, and how much length does.
_AGAIN, _LENGTH = 1.2, 0.75
_NAME_COUNTS: Final = 3


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has: a quarter of its bytes, rounded up."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


@attrs.define(eq=False)
class Disclosure:
    """What one agent has been shown of a registry.

    Attributes:
        registry: All tools that there are.
        always: Names of tools that are shown from the beginning.
        count_tokens: Counts as the agent's model does; else an estimate.
    """

    registry: ToolRegistry
    always: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    count_tokens: Callable[[str], int] = estimate_tokens
    _loaded: dict[str, None] = attrs.field(factory=dict[str, None], init=False)

    def shown(self) -> tuple[Tool, ...]:
        """Return the tools to offer now: the two of this, those of `always`, then the loaded."""
        first = [self.registry.get(name) for name in sorted(self.always)]
        later = [self.registry.get(name) for name in self._loaded]
        return (SearchTools(self), LoadTools(self), *first, *later)

    def tokens(self, tools: Iterable[Tool]) -> int:
        """Return how many tokens the definitions of tools take."""
        return sum(self.count_tokens(definition_of(tool)) for tool in tools)

    def search(self, query: str, limit: int = MAX_FOUND) -> tuple[Tool, ...]:
        """Return the tools that fit best, best first; of equal ones, by name."""
        tools = list(self.registry)
        words = [_words(tool) for tool in tools]
        scores = _scores(_WORD.findall(query.lower()), words)
        ranked = sorted(zip(scores, tools, strict=True), key=lambda one: (-one[0], one[1].name))
        return tuple([tool for score, tool in ranked if score > 0][:limit])

    def load(self, names: Iterable[str]) -> tuple[Tool, ...]:
        """Show tools from now on, and return them. All of them, or none.

        Raises:
            UnknownToolError: There is no tool of one of these names.
            InvalidArgumentsError: More would be shown than there may be.
        """
        tools = tuple([self.registry.get(name) for name in names])
        new = {tool.name: None for tool in tools if tool.name not in self.always}
        if len(self._loaded | new) > MAX_LOADED:
            raise InvalidArgumentsError(
                f"No more than {MAX_LOADED} tools can be loaded.", hint="Load only what you need."
            )
        self._loaded |= new
        return tools


def definition_of(tool: Tool) -> str:
    """Return what a model is sent of a tool, as JSON."""
    definition = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return msgspec.json.encode(definition).decode()


def _words(tool: Tool) -> Counter[str]:
    properties = tool.parameters.get("properties")
    named = " ".join(properties) if isinstance(properties, dict) else ""
    words = Counter(_WORD.findall(f"{tool.description} {named}".lower()))
    for word in _WORD.findall(tool.name):
        words[word] += _NAME_COUNTS
    return words


def _scores(query: list[str], documents: list[Counter[str]]) -> list[float]:
    """Return by BM25 how well each document fits; a word also finds what begins with it."""
    usual = sum(one.total() for one in documents) / max(len(documents), 1) or 1.0
    scores = [0.0] * len(documents)
    for word in dict.fromkeys(query):
        counts = [
            sum(count for other, count in one.items() if other.startswith(word))
            for one in documents
        ]
        having = sum(count > 0 for count in counts)
        rarity = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
        for place, count in enumerate(counts):
            length = 1 - _LENGTH + _LENGTH * documents[place].total() / usual
            scores[place] += rarity * count * (_AGAIN + 1) / (count + _AGAIN * length)
    return scores


@attrs.frozen
class SearchArguments:
    """Arguments of `search_tools`."""

    query: Annotated[str, Meta(description="Words about what is to be done.", max_length=1_000)]
    limit: Annotated[int, Meta(ge=1, le=MAX_FOUND, description="How many at most.")] = 5


@attrs.frozen(eq=False)
class SearchTools(TypedTool[SearchArguments]):
    """Finds tools of a registry."""

    disclosure: Disclosure = attrs.field(repr=False)

    name = "search_tools"
    description = (
        "Find tools by words. Returns names with one line about each, and how many tokens its"
        " definition takes; `load_tools` makes them usable."
    )
    side_effect: SideEffect = "none"
    taints = False
    kind = SearchArguments

    def needs(self, arguments: SearchArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - nothing
        return ()

    async def run(self, arguments: SearchArguments, context: ToolContext) -> Output:  # noqa: ARG002 - see above
        found = self.disclosure.search(arguments.query, arguments.limit)
        tools = [
            {
                "name": tool.name,
                "summary": _summary(tool.description),
                "tokens": self.disclosure.tokens([tool]),
            }
            for tool in found
        ]
        return Output(cast("Json", {"tools": tools, "of": len(self.disclosure.registry)}))


@attrs.frozen
class LoadArguments:
    """Arguments of `load_tools`."""

    names: Annotated[
        tuple[str, ...], Meta(min_length=1, max_length=MAX_FOUND, description="Of tools found.")
    ]


@attrs.frozen(eq=False)
class LoadTools(TypedTool[LoadArguments]):
    """Shows tools of a registry from now on."""

    disclosure: Disclosure = attrs.field(repr=False)

    name = "load_tools"
    description = "Make tools usable by name, and return their definitions."
    side_effect: SideEffect = "idempotent"
    taints = False
    kind = LoadArguments

    def needs(self, arguments: LoadArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - nothing
        return ()

    async def run(self, arguments: LoadArguments, context: ToolContext) -> Output:  # noqa: ARG002 - see above
        tools = self.disclosure.load(arguments.names)
        definitions = [msgspec.json.decode(definition_of(tool)) for tool in tools]
        value = {"tools": definitions, "tokens": self.disclosure.tokens(tools)}
        return Output(cast("Json", value))


def _summary(description: str) -> str:
    line = " ".join(description.split())
    sentence = re.match(r".{10,}?[.!?](?=\s|$)", line)
    short = sentence[0] if sentence is not None else line
    return short if len(short) <= _SUMMARY else f"{short[: _SUMMARY - 3]}..."
