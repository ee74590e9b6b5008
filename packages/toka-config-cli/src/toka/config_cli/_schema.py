"""`toka-config schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.config_cli._exits import DONE
from toka.config_cli._file import create, locked, read, replace
from toka.config_cli._parser import add_rules, settings
from toka.config_cli._refuse import refuse
from toka.config_cli._schemas import SCHEMAS, schema_text
from toka.config_cli._show import write

if TYPE_CHECKING:
    import argparse

    from toka.config_cli._parser import Help

HELP: Help = {
    "description": "List the schemas of Toka's files, print one, or write all into a folder.",
    "epilog": """\
examples:
  toka-config schema
  toka-config schema agent-spec > agent-spec.json
  toka-config schema --export config/schemas
In an editor with the YAML language server, as the first line of a file:
  # yaml-language-server: $schema=config/schemas/agent-spec.json
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("name", nargs="?", help="the one to print")
    parser.add_argument("--export", metavar="FOLDER", help="write all, over those there")
    parser.add_argument("--lock-timeout", type=float, metavar="SECONDS", help="wait at most (10)")
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    if options.export is None:
        if options.name is None:
            write("".join([f"{name:<15}{text}\n" for name, text in SCHEMAS.items()]))
        else:
            write(schema_text(options.name))
        return DONE
    if options.name is not None:
        refuse("UsageError", "--export writes all schemas.", "Name none, or leave --export away.")
    folder = chosen.file(options.export)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.resolve(), chosen.lock_timeout):
        for name in SCHEMAS:
            path = folder / f"{name}.json"
            if path.exists():
                replace(read(path), schema_text(name))
            else:
                create(path, schema_text(name))
            chosen.note("info", f"{path} was written")
    return DONE
