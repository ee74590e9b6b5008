"""Paths of keys: `agents[0].name`, `tools."a.b".limits`, `list[-1]`, `list[+]`.

The rules of the original are the defaults of `Rules`: at most ten segments, and segments of
letters, digits, `_` and `-` that start with no digit and are none of four words. A segment in
quotes may hold anything: who writes the quotes means it.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from toka.config_cli._refuse import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_RESERVED = frozenset({"null", "true", "false", "undefined"})
_PART = re.compile(
    r"""(?P<index>\[(?:[+-]?[0-9]{1,9}|\+)\])"""
    r"""|(?P<double>"(?:[^"\\]|\\.)*")"""
    r"""|(?P<single>'(?:[^']|'')*')"""
    r"""|(?P<bare>[^.\[\]"']+)""",
    re.DOTALL,
)
_ALLOWED = re.compile(r"[A-Za-z0-9_-]+")
_END = "[+]"

Segment = str | int | None
"""A key, the index of an item, or None for the place after the last item."""
KeyPath = tuple[Segment, ...]


class Rules(NamedTuple):
    """What a path may be."""

    max_depth: int = 10
    any_key: bool = False
    """Take every bare segment that can be read as one."""


def parse_path(text: str, rules: Rules = Rules()) -> KeyPath:  # noqa: B008 - immutable
    """Return the segments of a path; `.` alone is the whole document.

    Raises:
        KeyPathInvalid: It breaks a rule.
    """
    if text == ".":
        return ()
    segments: list[Segment] = []
    at = 0
    while at < len(text):
        segment, at = _next(text, at, rules)
        segments.append(segment)
    if not segments or text[-1] == ".":
        _refuse(text, "has an empty segment", 'Write a key, or "" for one that is empty.')
    if len(segments) > rules.max_depth:
        what = f"has {len(segments)} segments; at most {rules.max_depth} are taken"
        _refuse(text, what, "Raise --max-depth if it is meant.")
    return tuple(segments)


def _next(text: str, at: int, rules: Rules) -> tuple[Segment, int]:
    """Return the segment at an offset, and the offset after it and its dot."""
    part = _PART.match(text, at)
    if part is None:
        empty = text[at] == "."
        what = "has an empty segment" if empty else f"cannot be read from {text[at : at + 20]!r} on"
        _refuse(text, what, 'As in agents[0].name, or with quotes: tools."a.b".')
    index = part["index"]
    if index:
        after = part.end()
        segment: Segment = None if index == _END else int(index[1:-1])
    else:
        segment, after = _key(text, part, rules), part.end()
    if after < len(text) and text[after] != "[":
        if text[after] != ".":
            _refuse(text, f"has no dot before {text[after : after + 20]!r}", "Write one.")
        after += 1
        if after < len(text) and text[after] == "[":
            _refuse(text, "has a dot before an index", "Write list[0], without the dot.")
    return segment, after


def _key(text: str, part: re.Match[str], rules: Rules) -> str:
    if part["double"]:
        try:
            return str(json.loads(part["double"], strict=False))
        except ValueError:
            _refuse(text, f"has a wrong escape in {part['double']}", "Write it as JSON does.")
    if part["single"]:
        return part["single"][1:-1].replace("''", "'")
    key = part["bare"]
    if not rules.any_key:
        _check(text, key)
    return key


def _check(text: str, key: str) -> None:
    quoted = f"Write {json.dumps(key, ensure_ascii=False)} in quotes, or give --any-key."
    if not _ALLOWED.fullmatch(key):
        _refuse(text, f"has other characters than letters, digits, '_' and '-' in {key!r}", quoted)
    if key[0].isdigit():
        what = f"has the segment {key!r}, which starts with a digit"
        _refuse(text, what, f"For an item of a list write [{key}]; for a key, quotes.")
    if key in _RESERVED:
        _refuse(text, f"has the reserved word {key!r}", quoted)


def _refuse(text: str, what: str, hint: str) -> NoReturn:
    shown = text if len(text) <= 80 else f"{text[:80]}..."  # noqa: PLR2004 - a line of a terminal
    refuse("KeyPathInvalid", f"The key path {shown!r} {what}.", hint)


def show_path(path: KeyPath) -> str:
    """Return a path as `parse_path` reads it."""
    text = ""
    for segment in path:
        if isinstance(segment, str):
            plain = _ALLOWED.fullmatch(segment) and not segment[0].isdigit()
            shown = segment if plain and segment not in _RESERVED else _quoted(segment)
            text += f".{shown}" if text else shown
        else:
            text += _END if segment is None else f"[{segment}]"
    return text or "."


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)
