"""What a person types on a command line, as a value."""

from __future__ import annotations

import json
import tomllib

from toka.config_cli._key_path import show_path
from toka.config_cli._refuse import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from toka.config_cli._document import Document
    from toka.config_cli._key_path import KeyPath
    from toka.config_cli._value import Value

TYPES = ("auto", "text", "number", "boolean", "null", "json", "moment")


def read_value(typed: str, kind: str) -> Value:
    """Return the value that was typed.

    Args:
        typed: As typed.
        kind: One of `TYPES`; `auto` takes JSON for what it is, and everything else for text.

    Raises:
        UsageError: It is none of that kind.
    """
    if kind == "text":
        return typed
    if kind == "moment":
        return _moment(typed)
    if kind == "null" and typed:
        refuse("UsageError", f"{typed!r} is not nothing.", "With --type null write '' as value.")
    value = _json(None if kind == "null" else typed, strict=kind == "json")
    good = {
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
    }
    if not good.get(kind, True):
        refuse("UsageError", f"{typed!r} is no {kind}.", "Write it as JSON does, or --type text.")
    return value


def _json(typed: str | None, *, strict: bool) -> Value:
    if typed is None:
        return None
    try:
        value: Value = json.loads(typed, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if strict:
            refuse("UsageError", f"This is not JSON: {error}.", "Quote it for the shell.")
        return typed
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _moment(typed: str) -> Value:
    try:
        value: Value = tomllib.loads(f"value = {typed}")["value"]
    except tomllib.TOMLDecodeError:
        value = None
    if not hasattr(value, "isoformat"):
        refuse("UsageError", f"{typed!r} is no date or time.", "As in 2026-11-21T10:00:00Z.")
    return value


def check_type(document: Document, path: KeyPath, value: Value, kind: str) -> None:
    """Refuse to turn a text into a number by accident, or the other way round.

    Raises:
        EditRefused: The new value is of another type than the old, and no type was named.
    """
    if kind != "auto" or None in path or not document.has(path):
        return
    old = document.data(path)
    before, after = _kind(old), _kind(value)
    if "null" in (before, after) or before == after:
        return
    what = f"{show_path(path)} is a {before} and would become a {after}."
    types = " or ".join(f"--type {each}" for each in dict.fromkeys((_option(after), "text")))
    refuse("EditRefused", what, f"Say what is meant: {types}.")


def _kind(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, dict | list):
        return "mapping" if isinstance(value, dict) else "list"
    return "text" if isinstance(value, str) else "moment"


def _option(kind: str) -> str:
    return "json" if kind in ("list", "mapping") else kind
