"""TOML: read by the standard library, changed by tomlkit, which keeps comments and layout.

After a change the text is read again, and must be the old value with that one change: what tomlkit
cannot do is refused and not written.
"""

from __future__ import annotations

import copy
import re
import tomllib
from typing import cast

from toka.config_cli._key_path import show_path
from toka.config_cli._refuse import refuse
from toka.config_cli._splice import nested, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._key_path import KeyPath, Segment
    from toka.config_cli._value import Value

_WHERE = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_BARE_LINE_FEED = re.compile(r"(?<!\r)\n")
# The standard library takes quadratic time on a dotted key of many parts.
_LONG_KEY = re.compile(r"(?:[A-Za-z0-9_-]{1,99}[ \t]*\.[ \t]*){100}")


def parse_toml(text: str) -> dict[str, Value]:
    """Return the document in `text`.

    Raises:
        SyntaxInvalid: It is not TOML.
    """
    if _LONG_KEY.search(text):
        refuse("SyntaxInvalid", "A dotted key has more than 100 parts.", "Flatten the document.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _WHERE.search(str(error))
        where = f"line {match[1]}, column {match[2]}: " if match and match[1] else ""
        what = f"{where}this is not TOML: {_WHERE.sub('', str(error))}."
        refuse("SyntaxInvalid", what, "Mend it here.")
    except RecursionError:
        refuse("SyntaxInvalid", "Containers are nested too deeply.", "Flatten the document.")


def set_toml(text: str, path: KeyPath, value: Value) -> str:
    """Return the text with one value put in, or replaced.

    Raises:
        EditRefused: It cannot be done without changing something else.
        NotThere: An item of a list is not there.
        CannotCarry: TOML cannot hold the value.
    """
    check_carried(value, path)
    expected = copy.deepcopy(parse_toml(text))
    _put(expected, path, value)
    import tomlkit  # noqa: PLC0415 - 80 ms that reading need not pay

    document = tomlkit.parse(text)
    _put(document, path, value, kept=True)
    return _checked(text, document.as_string(), expected)


def delete_toml(text: str, path: KeyPath) -> str:
    """Return the text without one value.

    Raises:
        EditRefused: It cannot be done without changing something else.
        NotThere: It is not there.
    """
    if not path:
        refuse("EditRefused", "The whole document cannot be deleted.", "Delete the file.")
    expected = copy.deepcopy(parse_toml(text))
    _remove(expected, path)
    import tomlkit  # noqa: PLC0415 - 80 ms that reading need not pay

    document = tomlkit.parse(text)
    _remove(document, path)
    return _checked(text, document.as_string(), expected)


def write_toml(value: Value) -> str:
    """Return a whole document.

    Raises:
        CannotCarry: TOML cannot hold the value.
    """
    if not isinstance(value, dict):
        refuse("CannotCarry", "A TOML document is a table, not a single value or a list.")
    check_carried(value, ())
    import tomlkit  # noqa: PLC0415 - as above

    return tomlkit.dumps(value)


def check_carried(value: Value, path: KeyPath) -> None:
    """Refuse what TOML has no way to write.

    Raises:
        CannotCarry: It is null, or an integer of more than 64 bits.
    """
    if value is None:
        what = f"TOML has no null, for {show_path(path)}."
        refuse("CannotCarry", what, "Delete the key instead.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        refuse("CannotCarry", f"TOML's integers have 64 bits; {show_path(path)} needs more.")
    parts = value.items() if isinstance(value, dict) else ()
    for key, part in parts:
        check_carried(part, (*path, key))
    for index, part in enumerate(value if isinstance(value, list) else ()):
        check_carried(part, (*path, index))


def _put(document: object, path: KeyPath, value: Value, *, kept: bool = False) -> None:
    """Put a value into a container of Python's or of tomlkit's, which behave alike."""
    holder = document
    for number, segment in enumerate(path):
        rest = path[number + 1 :]
        if rest and _has(holder, segment):
            holder = _below(holder, segment)
            continue
        new = nested(rest, value)
        _assign(holder, segment, _styled(holder, segment, new) if kept else new, path[:number])
        return
    refuse("EditRefused", "The whole document cannot be set.", "Write a new file.")


def _has(holder: object, segment: Segment) -> bool:
    if isinstance(segment, str):
        return isinstance(holder, dict) and segment in holder
    if segment is None or not isinstance(holder, list):
        return False
    count = len(cast("list[object]", holder))
    return -count <= segment < count


def _below(holder: object, segment: Segment) -> object:
    if isinstance(holder, dict):
        return cast("dict[object, object]", holder)[segment]
    return cast("list[object]", holder)[cast("int", segment)]


def _assign(holder: object, segment: Segment, value: object, at: KeyPath) -> None:
    if isinstance(holder, dict) and isinstance(segment, str):
        cast("dict[str, object]", holder)[segment] = value
    elif isinstance(holder, list) and not isinstance(segment, str):
        items = cast("list[object]", holder)
        if _has(items, segment):
            items[cast("int", segment)] = value
        elif segment is None or segment == len(items):
            items.append(value)
        else:
            what = f"{show_path(at)} has {len(items)} items; there is no [{segment}]."
            refuse("NotThere", what, "Write [+] to add one behind the last.")
    else:
        single = "a list" if isinstance(holder, list) else "a single value"
        kind = "a table" if isinstance(holder, dict) else single
        refuse("EditRefused", f"{show_path(at)} is {kind}.", "Look at its keys with `list`.")


def _remove(document: object, path: KeyPath) -> None:
    holder = document
    for number, segment in enumerate(path):
        if not _has(holder, segment):
            what = f"There is no {show_path(path)}."
            refuse("NotThere", what, "`toka-config list FILE` shows the keys.")
        if number + 1 < len(path):
            holder = _below(holder, segment)
    if isinstance(holder, dict):
        del cast("dict[Segment, object]", holder)[path[-1]]
    else:
        del cast("list[object]", holder)[cast("int", path[-1])]


def _styled(holder: object, segment: Segment, value: Value) -> object:
    """Return a text in the quotes of the one that it replaces, where they can hold it."""
    if not isinstance(value, str) or not _has(holder, segment):
        return value
    import tomlkit  # noqa: PLC0415 - loaded already by who calls
    from tomlkit.items import String  # noqa: PLC0415 - as above

    old = _below(holder, segment)
    if not isinstance(old, String) or not old.as_string().startswith("'"):
        return value
    fits = "'" not in value and value.isprintable()
    return tomlkit.string(value, literal=True) if fits else value


def _checked(old: str, new: str, expected: Value) -> str:
    """Return the new text with the line breaks of the old one, once it reads as it should."""
    if "\r\n" in old and not _BARE_LINE_FEED.search(old):
        new = _BARE_LINE_FEED.sub("\r\n", new)
    if not same(parse_toml(new), expected):
        refuse(
            "EditRefused",
            "The change would alter something else in the file.",
            "Nothing was written; edit this place by hand, as in `toka-config edit FILE`.",
        )
    return new
