"""`toka-config diff`."""

from __future__ import annotations

import json
from typing import NamedTuple

from toka.config_cli._document import load
from toka.config_cli._exits import DONE, NOT_SO
from toka.config_cli._file import format_of, read
from toka.config_cli._key_path import show_path
from toka.config_cli._mask import mask
from toka.config_cli._parser import add_document, add_reveal, add_rules, settings
from toka.config_cli._show import show, write
from toka.config_cli._splice import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from toka.config_cli._key_path import KeyPath
    from toka.config_cli._parser import Help
    from toka.config_cli._value import Value

HELP: Help = {
    "description": "Compare two files by their values: order, comments and formats do not count.",
    "epilog": """\
A line says - for what only the first has, + for the second, ~ for what differs.

examples:
  toka-config diff old.yaml new.yaml
  toka-config diff app.yaml app.toml -o json
  toka-config diff staging.yaml production.yaml && echo alike
""",
}


class Difference(NamedTuple):
    """One place where two values differ."""

    sign: str
    path: KeyPath
    old: Value
    new: Value


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    add_document(parser)
    add_reveal(parser)
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    values: list[Value] = []
    for name in (options.first, options.second):
        file = chosen.file(name)
        values.append(load(read(file).text, format_of(file), options.document).data())
    found = list(differences(values[0], values[1], ()))
    if not chosen.reveal:
        found = [
            each._replace(old=mask(each.old, each.path), new=mask(each.new, each.path))
            for each in found
        ]
    if options.output == "json":
        write(show([_as_json(each) for each in found], "json"))
    else:
        for each in found:
            write(f"{each.sign} {show_path(each.path)}: {_said(each)}\n")
    return NOT_SO if found else DONE


def differences(old: Value, new: Value, path: KeyPath) -> Iterator[Difference]:
    """Yield every place where two values differ, the deepest that says so."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *[key for key in new if key not in old]]:
            if key not in new:
                yield Difference("-", (*path, key), old[key], None)
            elif key not in old:
                yield Difference("+", (*path, key), None, new[key])
            else:
                yield from differences(old[key], new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _items(old, new, path)
    elif not same(old, new):
        yield Difference("~", path, old, new)


def _items(old: list[Value], new: list[Value], path: KeyPath) -> Iterator[Difference]:
    for index in range(max(len(old), len(new))):
        if index >= len(new):
            yield Difference("-", (*path, index), old[index], None)
        elif index >= len(old):
            yield Difference("+", (*path, index), None, new[index])
        else:
            yield from differences(old[index], new[index], (*path, index))


def _said(each: Difference) -> str:
    if each.sign == "~":
        return f"{_line(each.old)} -> {_line(each.new)}"
    return _line(each.old if each.sign == "-" else each.new)


def _line(value: Value) -> str:
    return json.dumps(json.loads(show(value, "json")), ensure_ascii=False)


def _as_json(each: Difference) -> Value:
    found: dict[str, Value] = {"change": each.sign, "path": show_path(each.path)}
    if each.sign in "-~":
        found["old"] = each.old
    if each.sign in "+~":
        found["new"] = each.new
    return found
