"""`toka-config edit`."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from toka.config_cli._change import Put, Take, rewrite, transact
from toka.config_cli._document import load
from toka.config_cli._file import format_of, read
from toka.config_cli._key_path import parse_path
from toka.config_cli._parser import add_document, add_rules, add_write, settings
from toka.config_cli._refuse import refuse
from toka.config_cli._set import add_follow
from toka.config_cli._typed import TYPES, read_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.config_cli._change import Change
    from toka.config_cli._file import Snapshot
    from toka.config_cli._parser import Help

HELP: Help = {
    "description": """\
Make several changes in one transaction, in the order given: all of them or none.
Without changes, open $VISUAL or $EDITOR on a copy, which replaces the file only if it parses.""",
    "epilog": """\
examples:
  toka-config edit app.yaml --set debug false --delete old.key --append tags '"new"'
  toka-config edit app.yaml --set-text image.tag 1.10 --dry-run
  EDITOR=vim toka-config edit app.yaml
""",
}


class _InOrder(argparse.Action):
    """Collects options of different names into one list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - argparse's signature
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        collected: list[tuple[str, list[str]]] = namespace.changes
        words = [str(value) for value in values or ()]
        namespace.changes = [*collected, (option_string or "", words)]


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file")
    parser.set_defaults(changes=[])
    for name, says in (
        ("--set", "put a value in, or replace it"),
        ("--set-text", "as --set, and the value is a text"),
        ("--append", "put a value behind the last of a list"),
    ):
        parser.add_argument(
            name, nargs=2, action=_InOrder, dest="changes", metavar=("KEY", "VALUE"), help=says
        )
    parser.add_argument(
        "--delete", nargs=1, action=_InOrder, dest="changes", metavar="KEY", help="take it out"
    )
    parser.add_argument("-t", "--type", choices=TYPES, default="auto", help="of the VALUES")
    add_follow(parser)
    add_write(parser)
    add_document(parser)
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    given: list[tuple[str, list[str]]] = options.changes
    if not given:
        return rewrite(options, chosen, _in_editor)
    changes: list[Change] = []
    for name, (key, *typed) in given:
        path = parse_path(f"{key}[+]" if name == "--append" else key, chosen.rules)
        if name == "--delete":
            changes.append(Take(path))
            continue
        kind = "text" if name == "--set-text" else options.type
        changes.append(Put(path, read_value(typed[0], kind), kind, options.follow_aliases))
    return transact(options, chosen, changes)


def _in_editor(snapshot: Snapshot) -> str:
    """Return the text that a person made of a copy."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        refuse("UsageError", "No change is given and no editor is set.", "Set EDITOR, or --set.")
    with tempfile.TemporaryDirectory(prefix="toka-config-") as folder:
        copy = Path(folder, snapshot.path.name)
        copy.write_bytes(snapshot.text.encode())
        status = subprocess.run([*shlex.split(editor), str(copy)], check=False).returncode  # noqa: S603 - the person's own editor
        if status:
            refuse("UsageError", f"The editor ended with status {status}.", "Nothing was written.")
        text = read(copy).text
    document = load(text, format_of(snapshot.path), 0)
    document.data()
    return text
