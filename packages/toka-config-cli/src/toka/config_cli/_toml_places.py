"""Where the keys of a TOML text stand, which the standard library does not tell.

The scan goes over a text that is known to be TOML. What is inside an array or an inline table has
the place of the key that it belongs to.
"""

from __future__ import annotations

import re
import tomllib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._key_path import KeyPath

_PART = r"(?:\"(?:[^\"\\\n]|\\.)*+\"|'[^'\n]*+'|[A-Za-z0-9_-]++)"
_KEYS = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_TOKEN = re.compile(
    r"(?P<blank>(?:\s|#[^\n]*)+)"
    rf"|(?P<opening>\[\[?)[ \t]*(?P<header>{_KEYS})[ \t]*\]\]?"
    rf"|(?P<key>{_KEYS})[ \t]*="
)
_VALUE = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'|#[^\n]*|[\[{]|[\]}]|\n|[^\[\]{}\"'#\n]+",
    re.DOTALL,
)
_PARTS = re.compile(_PART)


def toml_places(text: str) -> dict[KeyPath, int]:
    """Return the offset of every table header and every key outside of inline tables."""
    found: dict[KeyPath, int] = {}
    lengths: dict[KeyPath, int] = {}
    table: KeyPath = ()
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            break
        start, at = at, token.end()
        if token["header"]:
            table = _resolve(_names(token["header"]), lengths, appends=token["opening"] == "[[")
            _note(found, table, 0, start)
        elif token["key"]:
            names = _names(token["key"])
            _note(found, (*table, *names), len(table), start)
            at = _after_value(text, at)
    return found


def _note(found: dict[KeyPath, int], path: KeyPath, least: int, start: int) -> None:
    for depth in range(least + 1, len(path) + 1):
        found.setdefault(path[:depth], start)


def _names(dotted: str) -> list[str]:
    return [
        str(tomllib.loads(f"key = {part}")["key"]) if part[0] in "\"'" else part
        for part in _PARTS.findall(dotted)
    ]


def _resolve(names: list[str], lengths: dict[KeyPath, int], *, appends: bool) -> KeyPath:
    """Put behind each name of an array of tables the number of its latest table."""
    path: KeyPath = ()
    for depth, name in enumerate(names, 1):
        path = (*path, name)
        if appends and depth == len(names):
            lengths[path] = lengths.get(path, 0) + 1
        if path in lengths:
            path = (*path, lengths[path] - 1)
    return path


def _after_value(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        token = _VALUE.match(text, at)
        if token is None:
            return len(text)
        word = token[0]
        depth += (word in ("[", "{")) - (word in ("]", "}"))
        if word == "\n" and not depth:
            return at
        at = token.end()
    return at
