"""The command `toka`: its subcommands, loaded when used, and the one place that reports errors."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Final, cast

import click

from toka.cli._exits import TABLE, Exit, exit_for

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS: Final = {
    "run": ("_run", "Run agents from a specification or a folder of them, or go on with a run."),
    "retry": ("_retry", "Begin an ended run again, from its beginning or from one of its steps."),
    "serve": ("_serve", "Serve runs over HTTP, and go on with those that were interrupted."),
    "status": ("_status", "Show the runs of a data directory or a service."),
    "agents": ("_agents", "Show the agents of a run, with what they may do."),
    "events": ("_events", "Print the log; --follow goes on with what comes."),
    "search": ("_search", "Find events by what they are about."),
    "replay": ("_replay", "Recompute the state from the log; --verify proves the log whole."),
    "explain": ("_explain", "Show the causes of an event, and the capabilities that allowed it."),
    "approve": ("_approve", "Answer what agents ask for."),
    "store": ("_store", "Verify, copy, back up, compact and repair logs of events."),
    "token": ("_token", "Mint and inspect capability tokens."),
    "tools": ("_tools", "List tools, and call one."),
    "llm": ("_llm", "Serve language models to existing programs, and list them."),
    "cvm": ("_cvm", "Run WebAssembly guests that may do what is granted."),
    "top": ("_top", "Show what a running service does, live."),
    "perf": ("_perf", "Record where a command spends its time or memory, and show it."),
    "init": ("_init", "Write a first specification to start from."),
    "doctor": ("_doctor", "Look for what is wrong with a data directory, and say what to do."),
}


_HINTS: Final = {
    "store.locked": "Stop that process first; status, agents, events and replay read beside it.",
    "store.damaged": "Nothing was written. `toka doctor` says where, and what can be done.",
    "store.failed": "`toka doctor` looks for the cause.",
}
"""By code: the next thing to try on a command line, where the error's own is for programs."""


class _LazyGroup(click.Group):
    """Imports a subcommand's module when it is used: `toka --version` need not load an engine."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        known = _COMMANDS.get(cmd_name)
        if known is None:
            return None
        module = importlib.import_module(f"toka.cli.{known[0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

            close = get_close_matches(args[0], _COMMANDS, n=1)
            if not close:
                raise
            better = f"{error.message} Did you mean {close[0]!r}?"
            raise click.UsageError(better, error.ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


_EPILOG = f"""\
\b
Examples:
  toka run examples/repo-audit
  toka run examples/repo-audit --input target=../other
  toka retry 01JD3X8ZK5Q6T7V8W9XAYBZCDE --from 42
  toka replay --verify
  toka serve --port 8080
  eval "$(_TOKA_COMPLETE=bash_source toka)"     completion for bash; zsh, fish alike

\b
Exit status:
  {TABLE.replace(chr(10), chr(10) + "  ")}

Colours are off when NO_COLOR is set or the output is not a terminal."""


@click.group(
    cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--debug", is_flag=True, help="Show tracebacks, and log what happens inside.")
@click.version_option(package_name="toka-cli", message="toka %(version)s")
@click.pass_context
def cli(context: click.Context, *, debug: bool) -> None:
    """Run AI agents that survive a pulled plug, and can explain every step they took."""
    if os.environ.get("NO_COLOR"):
        context.color = False
    if debug:
        import logging  # noqa: PLC0415 - 10 ms that --version need not pay

        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Args:
        arguments: Without the program's name; those of the process by default.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = cli.main(list(arguments), prog_name="toka", standalone_mode=False)
    except click.exceptions.Abort:
        return _say("Stopped.", Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except KeyboardInterrupt:
        return _say("Stopped.", Exit.INTERRUPTED)
    except SystemExit:
        # click leaves so, and only so, when the reader of the output went away, as `head` does.
        return Exit.MET
    except Exception as error:
        # The outermost loop: whatever it is, it is said here.
        if "--debug" in arguments:
            raise
        return _report(error)
    return status if isinstance(status, int) else Exit.MET


def _report(error: BaseException) -> int:
    """Say in a sentence what went wrong, and what to try next."""
    from toka.types import TokaError  # noqa: PLC0415 - loaded already wherever one was raised

    error = _innermost(error)
    if isinstance(error, TokaError):
        hint = _HINTS.get(error.code, error.hint)
        text = f"{error.message} {hint}" if hint else error.message
        if not error.code.startswith("spec."):
            # Only the faults of a specification are a list; what SQLite says is one, if long.
            text = " ".join(text.split())
        return _say(f"toka: {text} [{error.code}]", exit_for(error.code))
    if isinstance(error, BrokenPipeError):
        # Of a command that does something meanwhile: click itself sees to those that only print.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        text = "Stopped: nobody reads the output. The same command goes on with a run."
        return _say(text, Exit.INTERRUPTED)
    what = f"toka: unexpected {type(error).__name__}: {error}"
    return _say(f"{what}\nRun it again with --debug to see where.", Exit.FAILED)


def _innermost(error: BaseException) -> BaseException:
    """Return the one error that a task group wraps, or the first of several."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _say(text: str, status: Exit) -> int:
    click.echo(text, err=True)
    return status
