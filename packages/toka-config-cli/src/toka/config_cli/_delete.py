"""`toka-config delete`."""

from __future__ import annotations

from toka.config_cli._change import Take, transact
from toka.config_cli._key_path import parse_path
from toka.config_cli._parser import add_document, add_rules, add_write, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from toka.config_cli._parser import Help

HELP: Help = {
    "description": "Take values out; comments, order and quotes of everything else stay.",
    "epilog": """\
examples:
  toka-config delete app.yaml servers[1]
  toka-config delete app.yaml debug 'labels."old.name"'     both or none
  toka-config delete app.yaml debug --missing-ok
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file")
    parser.add_argument("keys", nargs="+", metavar="KEY")
    parser.add_argument("--missing-ok", action="store_true", help="a key may be gone already")
    add_write(parser)
    add_document(parser)
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    paths = [parse_path(key, chosen.rules) for key in options.keys]
    return transact(options, chosen, [Take(path, options.missing_ok) for path in paths])
