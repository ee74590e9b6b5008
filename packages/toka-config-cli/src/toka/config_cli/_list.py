"""`toka-config list`."""

from __future__ import annotations

import json

from toka.config_cli._document import FORMATS, load
from toka.config_cli._exits import DONE
from toka.config_cli._file import format_of, read
from toka.config_cli._key_path import parse_path, show_path
from toka.config_cli._mask import mask
from toka.config_cli._parser import add_document, add_reveal, add_rules, settings
from toka.config_cli._refuse import refuse
from toka.config_cli._show import show, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from toka.config_cli._key_path import KeyPath
    from toka.config_cli._parser import Help
    from toka.config_cli._value import Value

HELP: Help = {
    "description": "List the keys of a file with their values, or the files of a folder.",
    "epilog": """\
examples:
  toka-config list                    the configuration files here
  toka-config list config/ --recursive
  toka-config list app.yaml           every key with its value
  toka-config list app.yaml servers --keys
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("path", nargs="?", default=".")
    parser.add_argument("key", nargs="?", default=".", help="of a file: what is below it")
    parser.add_argument("--keys", action="store_true", help="the keys alone")
    parser.add_argument("-r", "--recursive", action="store_true", help="folders within, too")
    parser.add_argument("-d", "--directory", help=argparse_suppress())
    add_document(parser)
    add_reveal(parser)
    add_rules(parser)


def argparse_suppress() -> str:
    """Return what keeps an option of the original out of the help."""
    import argparse  # noqa: PLC0415 - loaded already

    return argparse.SUPPRESS


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    path = chosen.file(options.directory or options.path)
    if path.is_dir():
        for file in files_of(path, recursive=options.recursive):
            write(f"{file}\t{format_of(file)}\n")
        return DONE
    if not path.exists():
        refuse("FileUnusable", f"There is no file or folder {path}.", "Check the path.")
    document = load(read(path).text, format_of(path), options.document)
    at = parse_path(options.key, chosen.rules)
    value = document.data(at)
    for where, leaf in leaves(value if chosen.reveal else mask(value, at), at):
        write(f"{show_path(where)}\n" if options.keys else f"{show_path(where)} = {_line(leaf)}\n")
    return DONE


def _line(leaf: Value) -> str:
    shown = show(leaf, "json")
    return json.dumps(json.loads(shown), ensure_ascii=False)


def files_of(folder: Path, *, recursive: bool) -> list[Path]:
    """Return the configuration files of a folder, by name; hidden ones are left out.

    Raises:
        FileUnusable: The folder cannot be read.
    """
    try:
        found = sorted(folder.rglob("*") if recursive else folder.iterdir())
    except OSError as error:
        refuse("FileUnusable", f"{folder} cannot be read: {error.strerror}.", "Check permissions.")
    return [
        path
        for path in found
        if path.suffix.lower() in FORMATS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def leaves(value: Value, path: KeyPath) -> Iterator[tuple[KeyPath, Value]]:
    """Yield every single value and every empty container, with its path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value
