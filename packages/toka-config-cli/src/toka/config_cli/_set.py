"""`toka-config set`."""

from __future__ import annotations

import sys

from toka.config_cli._change import Put, transact
from toka.config_cli._key_path import parse_path
from toka.config_cli._parser import add_document, add_rules, add_write, settings
from toka.config_cli._refuse import refuse
from toka.config_cli._typed import TYPES, read_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from toka.config_cli._parser import Help

HELP: Help = {
    "description": """\
Put values in, or replace them; comments, order and quotes of everything else stay.
A value that is JSON is taken for what it is, everything else for text.""",
    "epilog": """\
examples:
  toka-config set app.yaml servers[0].port 8080
  toka-config set app.yaml image.tag 1.10 --type text
  toka-config set app.yaml tags '["a", "b"]' debug true     both or none
  toka-config set app.yaml servers[+] '{"port": 9090}'      behind the last
  toka-config set app.toml llm.model new --dry-run          the difference only
  pass show llm | toka-config set app.toml llm.api_key --stdin
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file")
    parser.add_argument("pairs", nargs="+", metavar="KEY VALUE")
    parser.add_argument("-t", "--type", choices=TYPES, default="auto", help="of every VALUE")
    parser.add_argument("--stdin", action="store_true", help="read the one VALUE, a text")
    add_follow(parser)
    add_write(parser)
    add_document(parser)
    add_rules(parser)


def add_follow(parser: argparse.ArgumentParser) -> None:
    """Add the option for values that aliases stand for."""
    parser.add_argument(
        "--follow-aliases", action="store_true", help="change an anchored value for all its aliases"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    pairs: list[str] = options.pairs
    kind: str = options.type
    if options.stdin:
        if len(pairs) != 1:
            refuse("UsageError", "--stdin takes one KEY and no VALUE.", "Pipe the value in.")
        pairs = [pairs[0], sys.stdin.read().removesuffix("\n")]
        kind = "text" if kind == "auto" else kind
    if len(pairs) % 2:
        refuse("UsageError", f"{pairs[-1]!r} has no VALUE.", "Write KEY VALUE, as often as needed.")
    changes = [
        Put(parse_path(key, chosen.rules), read_value(typed, kind), kind, options.follow_aliases)
        for key, typed in zip(pairs[::2], pairs[1::2], strict=True)
    ]
    return transact(options, chosen, list(changes))
