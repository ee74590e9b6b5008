"""Expressions: the Common Expression Language, in the implementation of the people who define it.

An expression is pure: it sees the variables it is given, performs no I/O, always ends (recursion
32 deep, 10,000 iterations, regular expressions without backtracking), and is compiled once, where
it is written. Expressions come from specifications only; what a tool or a model returned is a
value to them, never an expression.
"""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

from toka.agent_runtime._errors import ExpressionFailed, TemplateInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.types import Json

Variables: TypeAlias = "dict[str, Json]"
"""What an expression can see, by name. Containers are plain lists and dicts."""

MAX_EXPRESSION_CHARACTERS: Final = 4_096
MAX_TEXT_CHARACTERS: Final = 4 * 1_048_576
"""The longest text that `replace` and `join` make: their growth is the data's choice."""

RESERVED: Final = frozenset(
    {
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    }
)
"""Words that CEL keeps for itself; they name no variable."""

_PLACE: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_QUOTED_CHARACTERS: Final = 100
_SELECTION: Final = re.compile(r"\s*[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\s*", re.ASCII)
_NOTHING: Final = object()


class Expression:
    """One compiled expression."""

    __slots__ = ("_compiled", "_selection", "text")

    def __init__(self, text: str, names: frozenset[str]) -> None:
        """Compile `text`, which may use the variables `names`.

        Raises:
            TemplateInvalid: It is too long, is no expression, or uses another variable.

        """
        if len(text) > MAX_EXPRESSION_CHARACTERS:
            raise TemplateInvalid(
                f"An expression has {len(text)} characters;"
                f" at most {MAX_EXPRESSION_CHARACTERS} are accepted.",
                offset=0,
            )
        self.text: Final = text
        self._selection = text.strip().split(".") if _SELECTION.fullmatch(text) else None
        try:
            self._compiled = _environment(names).compile(text)
        except (RuntimeError, TypeError) as error:
            raise _compile_error(text, str(error), names) from error

    def evaluate(self, variables: Variables) -> Json:
        """Return the expression's value.

        Raises:
            ExpressionFailed: It has none, or one that is not JSON.

        """
        if self._selection is not None:
            value = _select(variables, self._selection)
            if value is not _NOTHING:
                return cast("Json", value)
        return self._evaluate(variables)

    def _evaluate(self, variables: Variables) -> Json:
        try:
            outcome = self._compiled.eval(data=variables)
            value = outcome.plain_value()
        except (RuntimeError, MemoryError) as error:
            raise self._failed(str(error)) from error
        if outcome.type().name() == "ERROR":
            raise self._failed(str(value).partition(": ")[2])
        if (fault := _json_fault(value)) is not None:
            raise self._failed(fault)
        return cast("Json", value)

    def _failed(self, why: str) -> ExpressionFailed:
        return ExpressionFailed(
            f"{_quoted(self.text)} has no value: {why[:500]}.",
            hint="Use has(a.b) to ask whether a key is there." if "Key not found" in why else "",
        )


def _select(variables: Variables, names: list[str]) -> object:
    """Return what a plain selection like `files.entries` names, or _NOTHING.

    Most expressions are no more than that, and the library would copy a list of ten thousand files
    into its own values and back, in a tenth of a second. Whatever is not simply there is left to
    the library to explain.
    """
    value: object = variables
    for name in names:
        if not isinstance(value, dict):
            return _NOTHING
        value = cast("dict[str, object]", value).get(name, _NOTHING)
    return value


def _compile_error(text: str, message: str, names: frozenset[str]) -> TemplateInvalid:
    match = _PLACE.search(message)
    if match is None:
        return TemplateInvalid(f"{_quoted(text)} is not an expression.", offset=0)
    lines = text.split("\n")[: int(match[1]) - 1]
    offset = sum(len(line) + 1 for line in lines) + int(match[2]) - 1
    undeclared = "undeclared reference" in match[3]
    reason = match[3].removesuffix(" (in container '')")[:300]
    return TemplateInvalid(
        f"{_quoted(text)} is not an expression: {reason}.",
        offset=offset,
        hint=f"Known here: {', '.join(sorted(names))}." if undeclared else "",
    )


def _quoted(text: str) -> str:
    # Half of a surrogate pair can be in a text, but not in a message that is printed.
    shown = text[:_QUOTED_CHARACTERS].encode(errors="backslashreplace").decode()
    return f"${{{shown}{'…' * (len(text) > _QUOTED_CHARACTERS)}}}"


def _json_fault(value: object) -> str | None:
    """Return why `value` is not JSON, or None."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, list):
            pending.extend(cast("list[object]", each))
        elif isinstance(each, dict):
            items = cast("dict[object, object]", each)
            if not all(isinstance(key, str) for key in items):
                return "a key of it is not text"
            pending.extend(items.values())
        elif isinstance(each, float) and not math.isfinite(each):
            return f"{each} is not a JSON number"
        elif each is not None and not isinstance(each, (bool, int, float, str)):
            return f"a {type(each).__name__} is not JSON; string() makes text of it"
    return None


class _Outcome(Protocol):
    def plain_value(self) -> object: ...
    def type(self) -> _Type: ...


class _Type(Protocol):
    def name(self) -> str: ...


class _Compiled(Protocol):
    def eval(self, *, data: Variables) -> _Outcome: ...


class _Environment(Protocol):
    def compile(self, expression: str) -> _Compiled: ...


@functools.lru_cache(maxsize=256)
def _environment(names: frozenset[str]) -> _Environment:
    # The wheel brings stubs, but not the marker that says so.
    from cel_expr_python import (  # type: ignore[import-untyped]  # noqa: PLC0415 - 16 MB of library
        cel,
    )

    text, texts = cel.Type.STRING, cel.Type.List(cel.Type.STRING)

    def method(
        name: str, function: Callable[..., object], returns: cel.Type, *takes: cel.Type
    ) -> cel.FunctionDecl:
        overload = cel.Overload(
            f"toka_{name}",
            return_type=returns,
            parameters=list(takes),
            is_member=True,
            impl=function,
        )
        return cel.FunctionDecl(name, [overload])

    functions = [
        method("split", _split, texts, text, text),
        method("join", _join, text, texts, text),
        method("replace", _replace, text, text, text, text),
        method("trim", str.strip, text, text),
        method("lowerAscii", _lower, text, text),
        method("upperAscii", _upper, text, text),
    ]
    variables = dict.fromkeys(names, cel.Type.DYN)
    return cast("_Environment", cel.NewEnv(variables=variables, functions=functions))


# The names and meanings of CEL's string extension. Its own versions grow without bound: two texts
# of a megabyte, both chosen by a tool's output, would make a terabyte in `replace`.


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _join(texts: list[str], separator: str) -> str:
    _check_length(sum(map(len, texts)) + len(texts) * len(separator), "join")
    return separator.join(texts)


def _replace(text: str, old: str, new: str) -> str:
    growth = text.count(old) * max(0, len(new) - len(old))
    _check_length(len(text) + growth, "replace")
    return text.replace(old, new)


def _check_length(characters: int, function: str) -> None:
    if characters > MAX_TEXT_CHARACTERS:
        # CEL turns a ValueError into an error value with this text.
        raise ValueError(f"{function} would make a text of {characters} characters")


def _lower(text: str) -> str:
    return text.encode().lower().decode()


def _upper(text: str) -> str:
    return text.encode().upper().decode()
