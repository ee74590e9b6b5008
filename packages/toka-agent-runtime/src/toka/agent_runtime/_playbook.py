"""Playbooks: a task as a list of tool calls, written down in a specification.

Parsing checks everything that can be known before a run: keys, types, names and every expression,
each against the names that are bound by then. Errors carry the place, so that whoever read the
file can point at the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast, get_args

import attrs

from toka.agent_runtime._errors import PlaybookInvalid
from toka.agent_runtime._expression import RESERVED
from toka.agent_runtime._quantities import parse_duration
from toka.agent_runtime._retry import NO_RETRY, RetryPolicy
from toka.agent_runtime._template import ITEM_NAMES, STANDARD_NAMES, Template
from toka.types import InDoubt, InvalidValueError

if TYPE_CHECKING:
    from toka.types import Json, JsonObject

MAX_STEPS: Final = 1_000
MAX_CONCURRENCY: Final = 64

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEYS: Final = frozenset(
    {
        "as",
        "concurrency",
        "description",
        "for_each",
        "id",
        "in_doubt",
        "retry",
        "timeout",
        "tool",
        "when",
        "with",
    }
)
_RETRY_KEYS: Final = frozenset({"attempts", "factor", "initial", "longest", "retry_on"})


@attrs.frozen
class PlaybookStep:
    """One line of a playbook."""

    tool: str
    arguments: Template = attrs.field(factory=lambda: Template.parse({}))
    """Renders to the tool's arguments, an object."""
    bind: str | None = None
    """The name under which later steps see the result; a `for_each` binds a list of results."""
    for_each: Template | None = None
    """Renders to a list; the step is done once for each `item` with its `index`."""
    when: Template | None = None
    """Renders to a boolean; the step (or this item of it) is left out where it is false."""
    retry: RetryPolicy = NO_RETRY
    timeout: int | None = None
    """Nanoseconds for one attempt."""
    concurrency: int = 1
    """How many items of a `for_each` are done at once."""
    in_doubt: InDoubt | None = None
    """None takes the tool's word: retry where it honours keys, else ask."""
    id: str = ""
    """How messages call the step; the tool's name if empty."""


@attrs.frozen
class Playbook:
    """Steps that are done in order."""

    steps: tuple[PlaybookStep, ...]
    outputs: Template | None = None
    """Renders to the playbook's result; without it, that is every bound name with its value."""

    @classmethod
    def parse(cls, steps: Json) -> Playbook:
        """Return the playbook that a specification writes as `steps:`.

        Raises:
            PlaybookInvalid: It cannot be run; `path` and, in a text, `offset` say where.

        """
        if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
            raise PlaybookInvalid("A playbook is a list of at least one step.")
        if len(steps) > MAX_STEPS:
            raise PlaybookInvalid(f"A playbook has {len(steps)} steps; at most {MAX_STEPS} are.")
        names = set(STANDARD_NAMES)
        parsed: list[PlaybookStep] = []
        for index, source in enumerate(steps):
            try:
                step = _parse_step(source, frozenset(names))
            except PlaybookInvalid as error:
                error.prefix(index)
                raise
            parsed.append(step)
            if step.bind is not None:
                names.add(step.bind)
        return cls(tuple(parsed))

    def with_outputs(self, outputs: Json) -> Playbook:
        """Return this playbook with a result of its own, which may use every bound name.

        Raises:
            PlaybookInvalid: An expression in it is none; `path` is counted within `outputs`.

        """
        bound = {step.bind for step in self.steps if step.bind is not None}
        return attrs.evolve(self, outputs=Template.parse(outputs, STANDARD_NAMES | bound))


def _parse_step(source: Json, names: frozenset[str]) -> PlaybookStep:
    if not isinstance(source, Mapping):
        raise PlaybookInvalid("A step is a mapping with at least the key 'tool'.")
    _check_keys(source, _KEYS)
    for_each = _expression(source, "for_each", names)
    inner = names if for_each is None else names | ITEM_NAMES
    if for_each is None and "concurrency" in source:
        raise PlaybookInvalid("Only a step with 'for_each' has a 'concurrency'.")
    return PlaybookStep(
        tool=_text(source, "tool", required=True),
        arguments=_arguments(source, inner),
        bind=_binding(source),
        for_each=for_each,
        when=_expression(source, "when", inner),
        retry=_retry(source.get("retry")),
        timeout=_duration(source, "timeout"),
        concurrency=_integer(source, "concurrency", 1, MAX_CONCURRENCY),
        in_doubt=_in_doubt(source),
        id=_text(source, "id"),
    )


def _check_keys(source: JsonObject, known: frozenset[str]) -> None:
    import difflib  # noqa: PLC0415 - only a misspelt key needs it

    for key in source:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise PlaybookInvalid(
                f"{str(key)[:40]!r} is not a key here.",
                path=(key,),
                hint=f"Did you mean {near[0]!r}?"
                if near
                else f"Known: {', '.join(sorted(known))}.",
            )


def _text(source: JsonObject, key: str, *, required: bool = False) -> str:
    value = source.get(key, "")
    if not isinstance(value, str) or (required and not value.strip()):
        place = (key,) if key in source else ()
        raise PlaybookInvalid(f"{key!r} must be a text that is not blank.", path=place)
    return value


def _arguments(source: JsonObject, names: frozenset[str]) -> Template:
    value = source.get("with", {})
    if not isinstance(value, Mapping):
        raise PlaybookInvalid("'with' is a mapping of the tool's arguments.", path=("with",))
    try:
        return Template.parse(value, names)
    except PlaybookInvalid as error:
        error.prefix("with")
        raise


def _expression(source: JsonObject, key: str, names: frozenset[str]) -> Template | None:
    value = source.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        if (key, type(value)) in {("for_each", list), ("when", bool)}:
            return Template.parse(value, names)
        raise PlaybookInvalid(f"{key!r} is an expression, as in ${{item.size > 0}}.", path=(key,))
    try:
        return Template.parse_expression(value, names)
    except PlaybookInvalid as error:
        error.prefix(key)
        raise


def _binding(source: JsonObject) -> str | None:
    if "as" not in source:
        return None
    name = _text(source, "as")
    if not _NAME.fullmatch(name) or name in RESERVED | STANDARD_NAMES | ITEM_NAMES:
        raise PlaybookInvalid(
            f"A result cannot be named {name[:40]!r}.",
            path=("as",),
            hint="Use letters, digits and '_', and none of the names that are there already.",
        )
    return name


def _retry(source: Json) -> RetryPolicy:
    if source is None:
        return NO_RETRY
    if not isinstance(source, Mapping):
        raise PlaybookInvalid("'retry' is a mapping, as in {attempts: 3}.", path=("retry",))
    try:
        return _retry_policy(source)
    except PlaybookInvalid as error:
        error.prefix("retry")
        raise
    except InvalidValueError as error:
        raise PlaybookInvalid(str(error), path=("retry",)) from error


def _retry_policy(source: JsonObject) -> RetryPolicy:
    _check_keys(source, _RETRY_KEYS)
    default = RetryPolicy()
    codes = source.get("retry_on", ())
    factor = source.get("factor", default.factor)
    if isinstance(codes, str) or not isinstance(codes, Sequence):
        raise PlaybookInvalid("'retry_on' is a list of error codes.", path=("retry_on",))
    if isinstance(factor, bool) or not isinstance(factor, (int, float)):
        raise PlaybookInvalid("'factor' is a number.", path=("factor",))
    return RetryPolicy(
        attempts=_integer(source, "attempts", 1, 1_000),
        initial=_or(_duration(source, "initial"), default.initial),
        factor=float(factor),
        longest=_or(_duration(source, "longest"), default.longest),
        retry_on=tuple([str(code) for code in codes]),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _duration(source: JsonObject, key: str) -> int | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise PlaybookInvalid(f"{key!r} is a duration, as in 30s.", path=(key,))
    try:
        return parse_duration(str(value))
    except InvalidValueError as error:
        raise PlaybookInvalid(str(error), path=(key,)) from error


def _integer(source: JsonObject, key: str, default: int, most: int) -> int:
    value = source.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise PlaybookInvalid(f"{key!r} is a whole number from 1 to {most}.", path=(key,))
    return value


def _in_doubt(source: JsonObject) -> InDoubt | None:
    value = source.get("in_doubt")
    if value is None:
        return None
    if value not in get_args(InDoubt):
        raise PlaybookInvalid("'in_doubt' is retry, skip or ask.", path=("in_doubt",))
    return cast("InDoubt", value)
