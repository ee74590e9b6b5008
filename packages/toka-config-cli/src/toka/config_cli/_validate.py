"""`toka-config validate`."""

from __future__ import annotations

import re
from typing import NamedTuple, cast

from toka.config_cli._document import load
from toka.config_cli._exits import DONE, NOT_SO
from toka.config_cli._file import format_of, read
from toka.config_cli._key_path import show_path
from toka.config_cli._list import files_of
from toka.config_cli._parser import add_rules, settings
from toka.config_cli._refuse import refuse
from toka.config_cli._schemas import SCHEMAS, recognise, schema_of
from toka.config_cli._show import show, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from toka.config_cli._checker import Fault
    from toka.config_cli._document import Document
    from toka.config_cli._parser import Help, Settings
    from toka.config_cli._schemas import Schema
    from toka.config_cli._value import Value

HELP: Help = {
    "description": """\
Check files, or all of a folder, against the schemas of Toka's files, which are recognised by what
is in them, or by their name; --schema names another. A file without one is only parsed.""",
    "epilog": f"""\
schemas:
{chr(10).join(f"  {name:<15}{text}" for name, text in SCHEMAS.items())}

examples:
  toka-config validate agents/
  toka-config validate config/*.toml -o json
  toka-config validate values.yaml --schema values.schema.json
""",
}


_WHERE = re.compile(r"line (\d+)(?:, column (\d+))?: ")
"""How a reader's message begins that knows the place."""


class Verdict(NamedTuple):
    """What was found of one document."""

    file: Path
    schema: str
    keys: int
    faults: list[Fault]


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("-s", "--schema", metavar="NAME|FILE", help="check against this one")
    parser.add_argument("-r", "--recursive", action="store_true", help="folders within, too")
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    given = None if options.schema is None else _given(options.schema, chosen)
    verdicts = [
        verdict
        for file in _files(options.paths, chosen, recursive=options.recursive)
        for verdict in _judge(file, options.schema or "", given)
    ]
    bad = [verdict for verdict in verdicts if verdict.faults]
    if options.output == "json":
        write(show([_as_json(verdict) for verdict in verdicts], "json"))
    else:
        for verdict in bad if options.quiet else verdicts:
            write(_said(verdict))
    return NOT_SO if bad else DONE


def _files(names: list[str], chosen: Settings, *, recursive: bool) -> list[Path]:
    found: list[Path] = []
    for name in names:
        path = chosen.file(name)
        below = files_of(path, recursive=recursive) if path.is_dir() else [path]
        if not below:
            hint = "Give --recursive for the folders in it."
            refuse("FileUnusable", f"The folder {path} holds no configuration file.", hint)
        found += below
    return found


def _given(name: str, chosen: Settings) -> Schema:
    if name in SCHEMAS:
        return schema_of(name)
    path = chosen.file(name)
    if not path.exists():
        schema_of(name)
    value = load(read(path).text, format_of(path)).data()
    if not isinstance(value, dict):
        refuse("UsageError", f"{path} holds no JSON Schema.", "A schema is a mapping.")
    return cast("Schema", value)


def _judge(file: Path, name: str, schema: Schema | None) -> list[Verdict]:
    from toka.config_cli._checker import Fault  # noqa: PLC0415 - loads jsonschema, for this command
    from toka.types import TokaError  # noqa: PLC0415 - as above

    kind = format_of(file)
    try:
        text = read(file).text
        return [_verdict(file, document, name, schema) for document in _documents(text, kind)]
    except TokaError as error:
        where = _WHERE.match(error.message)
        line, column = (int(where[1]), int(where[2] or 1)) if where else (1, 1)
        message = error.message[where.end() :] if where else error.message
        shown = f"{message[:1].upper()}{message[1:]}"
        return [Verdict(file, "", 0, [Fault(line, column, (), shown, error.hint)])]


def _documents(text: str, kind: str) -> list[Document]:
    first = load(text, kind, 0)
    count = 1 if first.tree is None else max(len(first.tree.roots), 1)
    return [first._replace(number=number) for number in range(count)]


def _verdict(file: Path, document: Document, name: str, schema: Schema | None) -> Verdict:
    from toka.config_cli._checker import exact_data, faults  # noqa: PLC0415 - loads jsonschema

    value = exact_data(document)
    found = name or recognise(value, file.name) or ""
    keys = len(value) if isinstance(value, dict) else 0
    if schema is None and found:
        schema = schema_of(found)
    return Verdict(file, found, keys, [] if schema is None else faults(document, value, schema))


def _said(verdict: Verdict) -> str:
    if not verdict.faults:
        fits = verdict.schema or "parsed; no schema is known for it"
        return f"{verdict.file}: {fits}, {verdict.keys} keys\n"
    return "".join(
        f"{verdict.file}:{fault.line}:{fault.column}: "
        f"{f'{show_path(fault.path)}: ' if fault.path else ''}{fault.message} {fault.hint}".rstrip()
        + "\n"
        for fault in verdict.faults
    )


def _as_json(verdict: Verdict) -> Value:
    found: list[Value] = [
        {**fault._asdict(), "path": show_path(fault.path)} for fault in verdict.faults
    ]
    return {
        "file": str(verdict.file),
        "schema": verdict.schema or None,
        "valid": not found,
        "faults": found,
    }
