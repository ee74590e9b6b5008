"""The text format of scenarios: a command, its input, a line of dashes, what it printed.

    # a comment
    command positional key=value key=(a,b)
    input, if any
    ----
    output, up to a blank line

Output that holds blank lines itself stands between two doubled lines of dashes. A file with such
scenarios is run by `run`, which hands each command to a handler and compares what it returns.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ARGUMENT = re.compile(r"([^\s=]+)(?:=(\([^)]*\)|\S*))?")
_LOG_LINE = re.compile(r"\s*(DEBUG|INFO|WARN|ERROR|FATAL) ")
_DASHES = "----"


@attrs.frozen
class Argument:
    """`key`, `key=value` or `key=(a,b)`."""

    key: str
    values: tuple[str, ...] = ()


@attrs.frozen
class Command:
    """One command of a scenario, and what the file says it prints."""

    name: str
    arguments: tuple[Argument, ...]
    input: str
    expected: str
    line: int
    head: str
    """The text of the file from the last output to this command's dashes."""

    @property
    def positional(self) -> list[str]:
        return [argument.key for argument in self.arguments if not argument.values]

    @property
    def node_ids(self) -> list[int]:
        return [int(key) for key in self.positional]

    def values(self, key: str) -> tuple[str, ...]:
        for argument in self.arguments:
            if argument.key == key:
                return argument.values
        return ()

    def value(self, key: str, default: str = "") -> str:
        return next(iter(self.values(key)), default)

    def flag(self, key: str, *, default: bool = False) -> bool:
        return self.value(key, str(default)).lower() == "true"


def _parse_arguments(text: str) -> tuple[Argument, ...]:
    arguments: list[Argument] = []
    for key, value in _ARGUMENT.findall(text):
        if value.startswith("("):
            inner = value[1:-1].replace(",", " ").split()
            # `idx=()` names a list without elements, which is not the same as no argument.
            arguments.append(Argument(key, tuple(inner) or ("",)))
        else:
            arguments.append(Argument(key, (value,) if value else ()))
    return tuple(arguments)


def parse(text: str) -> tuple[list[Command], str]:
    """Return the commands of a file, and what follows the last of them."""
    commands: list[Command] = []
    lines = text.splitlines()
    position = 0
    head: list[str] = []
    while position < len(lines):
        line = lines[position]
        head.append(line)
        position += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        start = position
        while line.endswith("\\"):
            line = line[:-1] + lines[position].strip()
            head.append(lines[position])
            position += 1
        given: list[str] = []
        while lines[position] != _DASHES:
            given.append(lines[position])
            head.append(lines[position])
            position += 1
        position += 1
        expected, position = _parse_expected(lines, position)
        name, _, rest = line.partition(" ")
        commands.append(
            Command(
                name,
                _parse_arguments(rest),
                "\n".join(given),
                "\n".join(expected),
                start,
                "\n".join(head),
            )
        )
        head = []
    return commands, "\n".join(head)


def _parse_expected(lines: list[str], position: int) -> tuple[list[str], int]:
    expected: list[str] = []
    if position < len(lines) and lines[position] == _DASHES:
        position += 1
        while lines[position : position + 2] != [_DASHES, _DASHES]:
            expected.append(lines[position])
            position += 1
        return expected, position + 3
    while position < len(lines) and lines[position].strip():
        expected.append(lines[position])
        position += 1
    return expected, position + 1


def without_log_lines(output: str) -> str:
    """Return an output as it would be if nothing had been logged."""
    kept = [line for line in output.splitlines() if not _LOG_LINE.match(line)]
    return "\n".join(kept).rstrip() or "ok"


def run(path: Path, handle: Callable[[Command], str], *, rewrite: bool = False) -> list[str]:
    """Run the commands of a file; return how each mismatch differs, or rewrite the file."""
    commands, tail = parse(path.read_text(encoding="utf-8"))
    mismatches: list[str] = []
    written: list[str] = []
    for command in commands:
        output = without_log_lines(handle(command))
        written.append(f"{command.head}\n{_DASHES}\n{_shield(output)}\n")
        expected = without_log_lines(command.expected)
        if output != expected:
            mismatches.append(
                f"{path.name}:{command.line}: {command.name}\n"
                f"--- expected\n{expected}\n--- got\n{output}"
            )
    if rewrite:
        text = "\n".join([*written, tail]).rstrip("\n") + "\n"
        path.write_text(text, encoding="utf-8")
        return []
    return mismatches


def _shield(output: str) -> str:
    if "\n\n" in f"\n{output}\n":
        return f"{_DASHES}\n{output}\n{_DASHES}\n{_DASHES}"
    return output
