"""`toka-config convert`."""

from __future__ import annotations

from toka.config_cli._carry import carry
from toka.config_cli._document import load
from toka.config_cli._exits import DONE
from toka.config_cli._file import create, format_of, locked, read
from toka.config_cli._parser import add_document, add_rules, settings
from toka.config_cli._refuse import refuse
from toka.config_cli._show import show, write
from toka.config_cli._splice import same

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from toka.config_cli._parser import Help

HELP: Help = {
    "description": """\
Write a file in another format. What the other format cannot hold is named on standard error;
--strict refuses then. The result is a document, so secrets in it are not masked.""",
    "epilog": """\
examples:
  toka-config convert app.toml app.yaml
  toka-config convert app.yaml --to json | jq .
  toka-config convert app.yaml app.toml --strict
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file")
    parser.add_argument("target", nargs="?", help="a new file; standard output by default")
    parser.add_argument("--to", choices=("yaml", "toml", "json"), help="the format to print")
    parser.add_argument("--strict", action="store_true", help="refuse to lose anything")
    parser.add_argument("--lock-timeout", type=float, metavar="SECONDS", help="wait at most (10)")
    add_document(parser)
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    file = chosen.file(options.file)
    target = None if options.target is None else chosen.file(options.target)
    if (target is None) == (options.to is None):
        refuse("UsageError", "Name a target file or --to FORMAT, one of them.", "See --help.")
    kind: str = options.to if target is None else format_of(target)
    document = load(read(file).text, format_of(file), options.document)
    value, losses = carry(document, kind)
    if losses and options.strict:
        refuse("CannotCarry", f"{kind} cannot carry: {'; '.join(losses)}.", "Leave --strict away.")
    text = show(value, kind)
    if not same(load(text, kind).data(), value):
        refuse("CannotCarry", f"{kind} cannot hold this document.", "Choose another format.")
    if target is None:
        write(text)
    elif target.parent.is_dir():
        with locked(target.parent.resolve(), chosen.lock_timeout):
            create(target, text)
    else:
        create(target, text)
    for loss in losses:
        chosen.note("warn", f"not carried: {loss}")
    return DONE
