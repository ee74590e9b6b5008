"""Options that several commands share, and defaults that a person may set for all of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

from toka.config_cli._file import check_path
from toka.config_cli._key_path import Rules
from toka.config_cli._refuse import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TypedDict

    class Help(TypedDict):
        """What `Parser` says about a command."""

        description: str
        epilog: str


LEVELS = ("error", "warn", "info", "debug", "trace")
DEFAULTS: dict[str, bool | int | float | str] = {
    "allow_parent": False,
    "any_key": False,
    "lock_timeout": 10.0,
    "log_level": "warn",
    "max_depth": 10,
    "reveal": False,
}
"""What `toka-config global` shows and changes."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong as everything else here does, and leaves the exit to `main`."""

    def __init__(
        self, prog: str, description: str = "", epilog: str = "", usage: str | None = None
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            usage=usage,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Refuse what was typed.

        Raises:
            UsageError: Always.
        """
        refuse("UsageError", f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`.")


class Settings(NamedTuple):
    """What holds for one invocation."""

    rules: Rules
    allow_parent: bool
    reveal: bool
    lock_timeout: float
    level: int

    def file(self, text: str) -> Path:
        """Return the path of a file that a person named.

        Raises:
            UsageError: It leaves its folder, and that was not allowed.
        """
        path = Path(text)
        check_path(path, allow_parent=self.allow_parent)
        return path

    def note(self, level: str, text: str) -> None:
        """Say something beside the result, if so much is wanted."""
        if LEVELS.index(level) <= self.level:
            sys.stderr.write(f"toka-config: {text}\n")


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what paths may be."""
    parser.add_argument(
        "--allow-parent", action="store_true", default=None, help="take file names with '..'"
    )
    parser.add_argument(
        "--any-key", action="store_true", default=None, help="take any bare key in a path"
    )
    parser.add_argument("--max-depth", type=int, metavar="N", help="longest key path (10)")


def add_document(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses a document of a YAML stream."""
    parser.add_argument(
        "--document", type=int, metavar="N", help="of several in one YAML file, from 0"
    )


def add_reveal(parser: argparse.ArgumentParser) -> None:
    """Add the option that shows secrets."""
    parser.add_argument("--reveal", action="store_true", default=None, help="do not mask secrets")


def add_write(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that write."""
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="print the difference, write nothing"
    )
    parser.add_argument(
        "--lock-timeout", type=float, metavar="SECONDS", help="how long to wait for the lock (10)"
    )
    add_reveal(parser)


def settings(options: argparse.Namespace) -> Settings:
    """Return what the command line says, the person's defaults where it says nothing.

    Raises:
        FileUnusable: The file of defaults cannot be read.
        UsageError: It holds a value that is none.
    """
    own = read_defaults()
    chosen = {
        name: own[name] if getattr(options, name, None) is None else getattr(options, name)
        for name in DEFAULTS
    }
    return Settings(
        Rules(int(chosen["max_depth"]), bool(chosen["any_key"])),
        bool(chosen["allow_parent"]),
        bool(chosen["reveal"]),
        float(chosen["lock_timeout"]),
        LEVELS.index(str(chosen["log_level"])),
    )


def defaults_file() -> Path:
    """Return where a person's defaults are."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "toka" / "config.toml"


def read_defaults() -> dict[str, bool | int | float | str]:
    """Return the defaults with those of the person over them.

    Raises:
        FileUnusable: The file cannot be read.
        SyntaxInvalid: It is not TOML.
        UsageError: It holds a key or a value that is none.
    """
    path = defaults_file()
    if not path.exists():
        return dict(DEFAULTS)
    from toka.config_cli._file import read  # noqa: PLC0415 - few have such a file
    from toka.config_cli._toml import parse_toml  # noqa: PLC0415 - as above

    found = dict(DEFAULTS)
    for name, value in parse_toml(read(path).text).items():
        found[name] = check_default(name, value)
    return found


def check_default(name: str, value: object) -> bool | int | float | str:
    """Return a default if it is one.

    Raises:
        UsageError: There is no such setting, or it takes other values.
    """
    usual = DEFAULTS.get(name)
    if usual is None:
        from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

        close = get_close_matches(name, DEFAULTS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(DEFAULTS)}."
        refuse("UsageError", f"There is no setting {name!r}.", hint)
    if isinstance(usual, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    good = type(value) is type(usual) and (name != "log_level" or value in LEVELS)
    if good and isinstance(value, bool | int | float | str):
        return value
    wanted = ", ".join(LEVELS) if name == "log_level" else type(usual).__name__
    return refuse(
        "UsageError", f"The setting {name} does not take {value!r}.", f"It takes {wanted}."
    )
