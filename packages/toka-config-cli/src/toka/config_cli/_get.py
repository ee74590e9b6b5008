"""`toka-config get`."""

from __future__ import annotations

from toka.config_cli._document import load
from toka.config_cli._exits import DONE
from toka.config_cli._file import format_of, read
from toka.config_cli._key_path import parse_path
from toka.config_cli._mask import mask
from toka.config_cli._parser import add_document, add_reveal, add_rules, settings
from toka.config_cli._show import show, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from toka.config_cli._parser import Help

HELP: Help = {
    "description": "Print a value: text as it is, anything else as JSON.",
    "epilog": """\
examples:
  toka-config get app.yaml                         the whole file
  toka-config get app.yaml 'servers[0].port'
  toka-config get app.yaml 'labels."app.kubernetes.io/name"'
  toka-config get app.yaml database --expand       with ${VARIABLES} filled in
  toka-config get app.toml llm.api_key --reveal
  toka-config get app.yaml retries --default 3     where the key is not there
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file")
    parser.add_argument("key", nargs="?", default=".", help="the whole file by default")
    parser.add_argument("-o", "--output", choices=("json", "yaml", "toml"), help="write it as")
    parser.add_argument("--default", metavar="TEXT", help="print this where the key is not there")
    parser.add_argument("--expand", action="store_true", help="fill in environment variables")
    add_document(parser)
    add_reveal(parser)
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    path = parse_path(options.key, chosen.rules)
    file = chosen.file(options.file)
    document = load(read(file).text, format_of(file), options.document)
    if options.default is not None and not document.has(path):
        write(f"{options.default}\n")
        return DONE
    value = document.data(path)
    if options.expand:
        from toka.config_cli._expand import expand  # noqa: PLC0415 - few ask for it

        value = expand(value)
    if not chosen.reveal:
        shown = mask(value, path)
        if shown != value:
            chosen.note("warn", "secrets are masked; --reveal shows them")
        value = shown
    write(show(value, options.output or ""))
    return DONE
