"""Templates: JSON values whose texts may hold `${expression}`.

A text that is one expression and nothing else yields the expression's value with its type; an
expression within other text is written into it; `$${` stands for the two characters `${`. Parsing
compiles every expression, so a template that parsed fails only for what the variables hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

from toka.agent_runtime._errors import ExpressionFailed, PlaybookInvalid, TemplateInvalid
from toka.agent_runtime._expression import Expression

if TYPE_CHECKING:
    from collections.abc import Collection

    from toka.agent_runtime._expression import Variables
    from toka.types import Json

STANDARD_NAMES: Final = frozenset({"agent", "inputs", "results", "run"})
"""What every expression of a task can see."""

ITEM_NAMES: Final = frozenset({"index", "item"})
"""What an expression can see inside a `for_each` besides."""

MAX_RENDERED_CHARACTERS: Final = 4 * 1_048_576
"""The longest text that a template makes."""

_MAX_DEPTH: Final = 64

_TOKEN: Final = re.compile(
    r"""
      (?:[rR][bB]?|[bB][rR])(?:'''.*?'''|\"\"\".*?\"\"\"|'[^']*'|"[^"]*")
    | '''(?:\\.|.)*?''' | \"\"\"(?:\\.|.)*?\"\"\"
    | '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*"
    | [{}]
    """,
    re.VERBOSE | re.DOTALL,
)
"""A quoted text of CEL, or a brace outside one."""


@attrs.frozen
class _Mixed:
    pieces: tuple[str | Expression, ...]


@attrs.frozen
class _List:
    items: tuple[_Node, ...]


@attrs.frozen
class _Object:
    items: tuple[tuple[str, _Node], ...]


@attrs.frozen
class _Constant:
    value: Json


_Node: TypeAlias = _Constant | Expression | _Mixed | _List | _Object


@attrs.frozen
class Template:
    """A JSON value with expressions in it, compiled."""

    source: Json
    """What was parsed."""
    _root: _Node = attrs.field(repr=False, eq=False)

    @classmethod
    def parse(cls, source: Json, names: Collection[str] = STANDARD_NAMES | ITEM_NAMES) -> Template:
        """Compile every expression in `source`, which may use the variables `names`.

        Raises:
            TemplateInvalid: An expression does not end, is none, or uses another variable.
            PlaybookInvalid: The value is nested too deeply.

        """
        return cls(source, _parse(source, frozenset(names), 0))

    @classmethod
    def parse_expression(
        cls, source: str, names: Collection[str] = STANDARD_NAMES | ITEM_NAMES
    ) -> Template:
        """Compile a text that is one expression, with or without `${` and `}` around it.

        Raises:
            TemplateInvalid: It is no expression, or uses another variable.

        """
        if source.startswith("${"):
            root = _parse_text(source, frozenset(names))
            if not isinstance(root, Expression):
                raise TemplateInvalid(f"{source[:100]!r} is not a single expression.", offset=0)
            return cls(source, root)
        return cls(source, Expression(source, frozenset(names)))

    @property
    def is_constant(self) -> bool:
        """Whether it holds no expression."""
        return isinstance(self._root, _Constant)

    def render(self, variables: Variables) -> Json:
        """Return the value with every expression replaced by its value.

        Raises:
            ExpressionFailed: An expression has no value, or the text grows too long.

        """
        return _render(self._root, variables)


def _parse(source: Json, names: frozenset[str], depth: int) -> _Node:
    if depth > _MAX_DEPTH:
        raise PlaybookInvalid(f"The value is nested more than {_MAX_DEPTH} deep.")
    if isinstance(source, str):
        return _parse_text(source, names)
    if isinstance(source, Mapping):
        pairs = tuple([(key, _below(key, item, names, depth)) for key, item in source.items()])
        constant = _constants([node for _, node in pairs])
        if constant is None:
            return _Object(pairs)
        return _Constant(dict(zip(source, constant, strict=True)))
    if isinstance(source, Sequence):
        nodes = [_below(index, item, names, depth) for index, item in enumerate(source)]
        constant = _constants(nodes)
        return _List(tuple(nodes)) if constant is None else _Constant(constant)
    return _Constant(source)


def _below(key: str | int, source: Json, names: frozenset[str], depth: int) -> _Node:
    try:
        return _parse(source, names, depth + 1)
    except PlaybookInvalid as error:
        error.prefix(key)
        raise


def _constants(nodes: Sequence[_Node]) -> list[Json] | None:
    values = [node.value for node in nodes if isinstance(node, _Constant)]
    return values if len(values) == len(nodes) else None


def _parse_text(text: str, names: frozenset[str]) -> _Node:
    pieces: list[str | Expression] = []
    position = 0
    while (start := text.find("${", position)) >= 0:
        if start > position and text[start - 1] == "$":
            pieces.append(text[position : start - 1] + "${")
            position = start + 2
            continue
        end = _closing_brace(text, start + 2)
        pieces += [text[position:start], _compile(text, start + 2, end, names)]
        position = end + 1
    pieces.append(text[position:])
    return _simplified([piece for piece in pieces if piece != ""])


def _simplified(pieces: list[str | Expression]) -> _Node:
    if len(pieces) == 1 and isinstance(pieces[0], Expression):
        return pieces[0]
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return _Constant("".join(texts)) if len(texts) == len(pieces) else _Mixed(tuple(pieces))


def _compile(text: str, start: int, end: int, names: frozenset[str]) -> Expression:
    try:
        return Expression(text[start:end], names)
    except TemplateInvalid as error:
        error.move(start)
        raise


def _closing_brace(text: str, start: int) -> int:
    """Return where the expression that starts at `start` ends.

    Only quotes and braces matter for that; what is between them is the compiler's business.
    """
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            if not depth:
                return token.start()
            depth -= 1
    raise TemplateInvalid(
        "A ${ has no } that ends it.",
        offset=start - 2,
        hint="Write $${ where the text itself has ${.",
    )


def _render(node: _Node, variables: Variables) -> Json:
    match node:
        case _Constant(value):
            return value
        case Expression():
            return node.evaluate(variables)
        case _Object(items):
            return {key: _render(item, variables) for key, item in items}
        case _List(items):
            return [_render(item, variables) for item in items]
        case _Mixed(pieces):
            return _join(pieces, variables)


def _join(pieces: tuple[str | Expression, ...], variables: Variables) -> str:
    text = "".join(
        [piece if isinstance(piece, str) else _text(piece.evaluate(variables)) for piece in pieces]
    )
    if len(text) > MAX_RENDERED_CHARACTERS:
        raise ExpressionFailed(
            f"A text with expressions grew to {len(text)} characters;"
            f" at most {MAX_RENDERED_CHARACTERS} are accepted."
        )
    return text


def _text(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
