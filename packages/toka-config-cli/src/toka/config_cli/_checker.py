"""A document against a schema: every fault with its place, in the words of Toka's own readers."""

from __future__ import annotations

import datetime
import difflib
from decimal import Decimal
from typing import NamedTuple, Protocol, cast

import jsonschema
from jsonschema import validators

from toka.config_cli._toml_places import toml_places
from toka.config_cli._vague import Vague, read_exact, vague

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toka.config_cli._document import Document
    from toka.config_cli._key_path import KeyPath
    from toka.config_cli._schemas import Schema
    from toka.config_cli._value import Value

_MANY = 12
"""Names that a sentence lists at most."""
_NEAR = 0.8
"""How like a block's name a key is that toka-orchestration takes for a slip of the pen."""


class _Validator(Protocol):
    """What is used of a validator."""

    def iter_errors(self, instance: object) -> Iterator[jsonschema.ValidationError]: ...
    def is_type(self, instance: object, type: str) -> bool: ...  # noqa: A002 - its name


class Fault(NamedTuple):
    """Something that does not fit."""

    line: int
    column: int
    path: KeyPath
    message: str
    hint: str


def exact_data(document: Document) -> Value:
    """Return the value of a document, with what readers take for different values marked."""
    if document.tree is None:
        return _marked(document.data())
    if document.number >= len(document.tree.roots):
        return None
    read = read_exact if document.tree.yaml else None
    return document.tree.data(document.tree.roots[document.number], read)


def _marked(value: Value) -> Value:
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return vague(value.isoformat(), "a date or time, which JSON has not")
    return value


def faults(document: Document, value: Value, schema: Schema) -> list[Fault]:
    """Return what does not fit, in the order in which it stands.

    Args:
        document: For the places.
        value: What `exact_data` returned of it.
        schema: JSON Schema, draft 2020-12.
    """
    place = _places(document)
    found: dict[tuple[KeyPath, str], Fault] = {}
    for error in _errors(schema, value):
        for path, of_key, message, hint in _told(error):
            fault = Fault(*place(path, of_key=of_key), path, message, hint)
            found.setdefault((path, message), fault)
    misspelt = {(fault.path[:-1], fault.hint) for fault in found.values()}
    told = [fault for fault in found.values() if not _is_misspelt(fault, misspelt)]
    return sorted(told, key=lambda fault: fault[:2])


def _is_misspelt(fault: Fault, misspelt: set[tuple[KeyPath, str]]) -> bool:
    """Say whether a key is missing only because it is there under a misspelt name."""
    key, missing, _ = fault.message.partition(" is missing")
    return bool(missing) and (fault.path, f"Did you mean {key}?") in misspelt


def _errors(schema: Schema, value: Value) -> Iterator[jsonschema.ValidationError]:
    """Yield what jsonschema finds; its factory of validators has no types of its own."""
    base = jsonschema.Draft202012Validator
    strict = base.TYPE_CHECKER.redefine("integer", _is_integer)
    rules = {
        "type": _type,
        "x-toka-decimals": _decimals,
        "x-toka-exact": _exact,
        "x-toka-known": _known,
    }
    made: object = validators.extend(base, rules, type_checker=strict)  # type: ignore[no-untyped-call] # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - has no annotations
    yield from cast("Callable[[Schema], _Validator]", made)(schema).iter_errors(value)


def _is_integer(checker: object, value: object) -> bool:
    del checker
    return isinstance(value, int) and not isinstance(value, bool)


def _type(
    validator: _Validator, types: object, value: object, schema: object
) -> Iterator[jsonschema.ValidationError]:
    """Check a type; a text that may be something else is one only where anything is taken."""
    del schema
    wanted = cast("list[str]", [types] if isinstance(types, str) else types)
    if isinstance(value, Vague) and "string" in wanted and "number" not in wanted:
        yield jsonschema.ValidationError(f"{value} is {value.reason}.", validator="x-toka-exact")
    elif not any(validator.is_type(value, name) for name in wanted):
        yield jsonschema.ValidationError(f"{_kind(value)} is none of {', '.join(wanted)}")


def _decimals(
    validator: _Validator, most: object, value: object, schema: object
) -> Iterator[jsonschema.ValidationError]:
    """Count decimals, which `multipleOf` cannot do with binary fractions."""
    del validator, schema
    exponent = Decimal(repr(value)).as_tuple().exponent if isinstance(value, float) else 0
    if isinstance(exponent, int) and -exponent > cast("int", most):
        yield jsonschema.ValidationError(f"{value} has more than {most} decimals")


def _exact(
    validator: _Validator, wanted: object, value: object, schema: object
) -> Iterator[jsonschema.ValidationError]:
    """Refuse, at any depth, a word that readers take for different values."""
    del schema
    if isinstance(value, Vague):
        yield jsonschema.ValidationError(f"{value} is {value.reason}.")
    items = cast("dict[object, object]", value).items() if isinstance(value, dict) else ()
    parts = enumerate(cast("list[object]", value)) if isinstance(value, list) else items
    for key, part in parts:
        for error in _exact(validator, wanted, part, {}):
            error.path.appendleft(cast("str | int", key))
            error.validator = "x-toka-exact"
            yield error


def _known(
    validator: _Validator, known: object, value: object, schema: object
) -> Iterator[jsonschema.ValidationError]:
    """Take a key that is nearly a block's name for a slip of the pen; all others are kept."""
    del validator, schema
    if not isinstance(value, dict):
        return
    keys = [str(key) for key in cast("dict[object, object]", value)]
    likely = [name for name in cast("list[str]", known) if name not in keys]
    for key in keys:
        near = difflib.get_close_matches(key, likely, n=1, cutoff=_NEAR)
        if near and key not in cast("list[str]", known):
            hint = f"Did you mean {near[0]!r}? If not, start its name with 'x-'."
            error = jsonschema.ValidationError(f"The block {key!r} is not known.", cause=None)
            error.path.append(key)
            error.schema = {"hint": hint}
            yield error


_Told = tuple["KeyPath", bool, str, str]


def _told(error: jsonschema.ValidationError) -> Iterator[_Told]:
    """Yield path, whether the key is meant, what is wrong and what to do."""
    path: KeyPath = tuple(error.absolute_path)
    schema = cast("dict[str, object]", error.schema if isinstance(error.schema, dict) else {})
    if error.validator == "additionalProperties":
        yield from _unknown(error, path, schema)
    elif error.validator == "required":
        yield from _missing(error, path, schema)
    elif error.validator == "propertyNames" or error.parent is not None:
        yield path, False, f"A key is not accepted: {error.message}.", ""
    elif error.validator == "x-toka-known":
        yield path, True, error.message, str(schema.get("hint", ""))
    elif error.validator == "x-toka-exact":
        yield path, False, error.message, f'Write "{error.instance}" in quotes.'
    else:
        yield path, False, *_value(error, schema)


def _unknown(
    error: jsonschema.ValidationError, path: KeyPath, schema: dict[str, object]
) -> Iterator[_Told]:
    names = list(cast("dict[str, object]", schema.get("properties", {})))
    for key in cast("dict[str, object]", error.instance):
        if key not in names:
            yield (*path, key), True, f"The key {key!r} is not known here.", suggest(key, names)


def _missing(
    error: jsonschema.ValidationError, path: KeyPath, schema: dict[str, object]
) -> Iterator[_Told]:
    properties = cast("dict[str, dict[str, object]]", schema.get("properties", {}))
    for key in cast("list[str]", error.validator_value):
        if key not in cast("dict[str, object]", error.instance):
            says = properties.get(key, {}).get("description", "")
            yield path, False, f"{key!r} is missing.", str(says)


def _value(error: jsonschema.ValidationError, schema: dict[str, object]) -> tuple[str, str]:
    says = str(schema.get("description", ""))
    if error.validator == "type":
        wanted = error.validator_value
        names = cast("list[str]", [wanted] if isinstance(wanted, str) else wanted)
        words = " or ".join([_WORDS.get(name, name) for name in names if name != "null"])
        return f"{words.capitalize()} is expected here, not {_kind(error.instance)}.", says
    if error.validator == "enum":
        options = [str(each) for each in cast("list[object]", error.validator_value) if each]
        given = str(error.instance)
        what = f"{_short(given)} is none of {', '.join(options)}."
        return what, _near(given, options)
    if error.validator == "pattern":
        return f"{_short(error.instance)} is not accepted here.", says
    if error.validator in ("minimum", "maximum"):
        bound = "least" if error.validator == "minimum" else "most"
        what = f"{error.instance} is not accepted: at {bound} {error.validator_value}."
        return what, says
    return f"{error.message[:200]}.", says


_WORDS = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    return f"the number {value}" if isinstance(value, int | float) else f"the text {_short(value)}"


def _short(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 40 else f"{text[:40]}...")  # noqa: PLR2004 - of a sentence


def suggest(name: str, known: list[str]) -> str:
    """Return a sentence that names the known name nearest to `name`, or all if they are few."""
    near = _near(name, known)
    if near or not known:
        return near
    shown = ", ".join(sorted(known)[:_MANY])
    return f"Known here: {shown}{', ...' if len(known) > _MANY else ''}."


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


def _places(document: Document) -> Callable[..., tuple[int, int]]:
    """Return what finds line and column of a path."""
    if document.tree is not None:
        return _tree_places(document)
    bare = document.text.removeprefix("\ufeff")
    known = toml_places(bare)

    def place(path: KeyPath, *, of_key: bool) -> tuple[int, int]:
        del of_key
        while path and path not in known:
            path = path[:-1]
        offset = known.get(path, 0)
        return bare.count("\n", 0, offset) + 1, offset - bare.rfind("\n", 0, offset)

    return place


def _tree_places(document: Document) -> Callable[..., tuple[int, int]]:
    def place(path: KeyPath, *, of_key: bool) -> tuple[int, int]:
        tree = document.tree
        if tree is None or document.number >= len(tree.roots):
            return 1, 1
        found, rest = tree.find(path, tree.roots[document.number])
        index = found.key if of_key and not rest and found.key >= 0 else found.node
        return tree.position(tree.tokens[index].start)

    return place
