"""`toka-config global`."""

from __future__ import annotations

from toka.config_cli._document import load
from toka.config_cli._exits import DONE
from toka.config_cli._file import create, locked, read, replace
from toka.config_cli._parser import (
    DEFAULTS,
    check_default,
    defaults_file,
    read_defaults,
    settings,
)
from toka.config_cli._show import show, write
from toka.config_cli._typed import read_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from toka.config_cli._parser import Help

HELP: Help = {
    "description": """\
Show and change what holds for all your calls of this command, in toka/config.toml of your
configuration folder ($XDG_CONFIG_HOME, or ~/.config). An option on the command line wins.""",
    "epilog": """\
settings:
  allow_parent   take file names with '..'                   (false)
  any_key        take any bare key in a path                 (false)
  lock_timeout   seconds to wait for another edit            (10.0)
  log_level      error, warn, info, debug or trace           (warn)
  max_depth      longest key path                            (10)
  reveal         do not mask secrets                         (false)

examples:
  toka-config global                  all, and the file they are in
  toka-config global max_depth 20
  toka-config global max_depth --unset
""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("name", nargs="?", choices=sorted(DEFAULTS), metavar="NAME")
    parser.add_argument("value", nargs="?")
    parser.add_argument("--unset", action="store_true", help="back to the default")


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    chosen = settings(options)
    typed: str = options.value or ""
    if options.value is None and not options.unset:
        known = read_defaults()
        if options.name is None:
            chosen.note("info", f"from {defaults_file()}")
            write(show(dict(known), "toml"))
        else:
            write(show(known[options.name]))
        return DONE
    path = defaults_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent, chosen.lock_timeout):
        if not path.exists():
            create(path, "")
        snapshot = read(path)
        document = load(snapshot.text, "toml")
        if options.unset:
            document = (
                document.delete((options.name,)) if document.has((options.name,)) else document
            )
        else:
            kind = "text" if isinstance(DEFAULTS[options.name], str) else "auto"
            value = check_default(options.name, read_value(typed, kind))
            document = document.set((options.name,), value)
        replace(snapshot, document.text)
    return DONE
