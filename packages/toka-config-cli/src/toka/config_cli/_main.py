"""The command `toka-config`: its subcommands, loaded when used, and the one place for errors."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from toka.config_cli._exits import DONE, FAILED, INTERRUPTED, TABLE, USAGE, exit_for
from toka.config_cli._parser import Parser
from toka.config_cli._refuse import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

COMMANDS = {
    "get": ("_get", "Print a value."),
    "set": ("_set", "Put values in, or replace them; all or none."),
    "delete": ("_delete", "Take values out; all or none."),
    "edit": ("_edit", "Make several changes at once, or open an editor."),
    "create": ("_create", "Write a new file."),
    "list": ("_list", "List the keys of a file, or the configuration files of a folder."),
    "validate": ("_validate", "Check files against their schemas, with line and column."),
    "convert": ("_convert", "Write a file in another format, and say what is lost."),
    "diff": ("_diff", "Compare two files by their values, whatever their formats."),
    "merge": ("_merge", "Lay files over one another."),
    "schema": ("_schema", "Print or export the schemas."),
    "global": ("_global", "Show and change the defaults of this command."),
}
ALIASES = {"read": "get", "update": "set"}
"""Names that the original gave."""

_EPILOG = f"""\
commands:
{chr(10).join(f"  {name:<10}{text}" for name, (_, text) in COMMANDS.items())}

examples:
  toka-config get config/agents.toml llm.model
  toka-config set app.yaml 'servers[0].port' 8080 --dry-run
  toka-config validate agents/
  toka-config COMMAND --help

exit status:
  {TABLE.replace(chr(10), chr(10) + "  ")}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Args:
        arguments: Without the program's name; those of the process by default.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _say("Stopped; nothing was written.", INTERRUPTED)
    except BrokenPipeError:
        # The reader of the output went away, as `head` does; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SystemExit as leaving:
        # argparse leaves so after --help and --version.
        return leaving.code if isinstance(leaving.code, int) else USAGE
    except Exception as error:
        # The outermost loop: whatever it is, it is said here.
        if "--debug" in arguments:
            raise
        return _report(error)


def _run(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="toka-config",
        description="Read, check and change YAML, TOML and JSON without losing a comment.",
        epilog=_EPILOG,
        usage="toka-config [--log-level LEVEL] [--debug] COMMAND ...",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.add_argument(
        "--log-level",
        choices=("error", "warn", "info", "debug", "trace"),
        help="how much is said beside the result (warn)",
    )
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.version:
        from importlib.metadata import version  # noqa: PLC0415 - only who asks pays

        sys.stdout.write(f"toka-config {version('toka-config-cli')}\n")
        return DONE
    if chosen.command is None:
        parser.print_help()
        return USAGE
    module = _command(chosen.command)
    below = Parser(prog=f"toka-config {chosen.command}", **module.HELP)
    below.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    module.configure(below)
    options = below.parse_args(chosen.rest)
    options.log_level = chosen.log_level
    status: int = module.run(options)
    sys.stdout.flush()
    return status


def _command(name: str) -> ModuleType:
    known = COMMANDS.get(ALIASES.get(name, name))
    if known is None:
        from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

        close = get_close_matches(name, COMMANDS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(COMMANDS)}."
        refuse("UsageError", f"There is no command {name!r}.", hint)
    return importlib.import_module(f"toka.config_cli.{known[0]}")


def _report(error: Exception) -> int:
    """Say in a sentence what went wrong, and what to try next."""
    from toka.types import TokaError  # noqa: PLC0415 - loaded already wherever one was raised

    if isinstance(error, TokaError):
        return _say(
            f"toka-config: {' '.join(str(error).split())} [{error.code}]", exit_for(error.code)
        )
    what = f"toka-config: unexpected {type(error).__name__}: {error}"
    return _say(f"{what}\nRun it again with --debug to see where.", FAILED)


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    return status
