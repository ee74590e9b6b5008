"""`toka-config create`."""

from __future__ import annotations

import json
from typing import cast

from toka.config_cli._document import load
from toka.config_cli._exits import DONE
from toka.config_cli._file import create, format_of, locked
from toka.config_cli._parser import add_rules, settings
from toka.config_cli._refuse import refuse
from toka.config_cli._show import show, write
from toka.config_cli._splice import same
from toka.config_cli._typed import read_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from toka.config_cli._parser import Help

HELP: Help = {
    "description": "Write a new file; one that is there is never touched.",
    "epilog": """\
examples:
  toka-config create app.yaml
  toka-config create app.toml -c '{"llm": {"model": "m"}}'
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file")
    parser.add_argument("-c", "--content", default="{}", metavar="JSON", help="what is in it ({})")
    parser.add_argument("-n", "--dry-run", action="store_true", help="print it, write nothing")
    parser.add_argument("--lock-timeout", type=float, metavar="SECONDS", help="wait at most (10)")
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    file = chosen.file(options.file)
    kind = format_of(file)
    value = read_value(options.content, "json")
    text = (
        show(value, kind) if kind != "json" else json.dumps(cast("object", value), indent=2) + "\n"
    )
    if not same(load(text, kind).data(), value):
        refuse("CannotCarry", f"{kind} cannot hold this content.", "Choose another format.")
    if options.dry_run:
        write(text)
        return DONE
    if file.parent.is_dir():
        with locked(file.parent.resolve(), chosen.lock_timeout):
            create(file, text)
    else:
        create(file, text)
    chosen.note("info", f"{file} was written")
    return DONE
