"""`toka-config merge`."""

from __future__ import annotations

from toka.config_cli._change import Put, rewrite
from toka.config_cli._document import load
from toka.config_cli._exits import DONE
from toka.config_cli._file import format_of, read
from toka.config_cli._parser import add_document, add_rules, add_write, settings
from toka.config_cli._show import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from toka.config_cli._file import Snapshot
    from toka.config_cli._key_path import KeyPath
    from toka.config_cli._parser import Help
    from toka.config_cli._value import Value

HELP: Help = {
    "description": """\
Lay files over a first one: mappings are merged, single values replaced, lists replaced or
extended. The result keeps the first file's comments and layout, and is printed with its secrets;
--write puts it in the first file.""",
    "epilog": """\
examples:
  toka-config merge base.yaml local.toml
  toka-config merge base.yaml local.yaml --lists append --write
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file", help="the first")
    parser.add_argument("overlays", nargs="+", metavar="OVER", help="what is laid over it")
    parser.add_argument("--lists", choices=("replace", "append"), default="replace")
    parser.add_argument("--write", action="store_true", help="change the first file")
    add_write(parser)
    add_document(parser)
    add_rules(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    overlays: list[Value] = []
    for name in options.overlays:
        file = chosen.file(name)
        overlays.append(load(read(file).text, format_of(file)).data())

    def merged(snapshot: Snapshot) -> str:
        document = load(snapshot.text, format_of(snapshot.path), options.document)
        for overlay in overlays:
            for change in _changes(document.data(), overlay, (), append=options.lists == "append"):
                document = change.on(document)
        return document.text

    if options.write or options.dry_run:
        return rewrite(options, chosen, merged)
    # A whole document, to be put somewhere: stars in it would destroy it.
    write(merged(read(chosen.file(options.file))))
    return DONE


def _changes(base: Value, over: Value, path: KeyPath, *, append: bool) -> Iterator[Put]:
    """Yield what has to be put into `base`."""
    if isinstance(base, dict) and isinstance(over, dict):
        for key, value in over.items():
            if key in base:
                yield from _changes(base[key], value, (*path, key), append=append)
            else:
                yield Put((*path, key), value, "json")
    elif append and isinstance(base, list) and isinstance(over, list):
        for item in over:
            yield Put((*path, None), item, "json")
    else:
        yield Put(path, over, "json")
