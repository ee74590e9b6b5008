"""The command as a whole: help, mistakes, colours, speed."""

import os
import resource
import subprocess

import pytest

from toka.cli import _main, main
from toka.cli._errors import NoDataDirectory, UsageError

COMMANDS = [
    *([name] for name in _main._COMMANDS if name not in ("llm", "store", "token", "tools")),
    *(["store", name] for name in ("backup", "compact", "copy", "repair", "stats", "verify")),
    ["llm", "serve"],
    ["llm", "models"],
    ["token", "mint"],
    ["token", "inspect"],
    ["tools", "list"],
    ["tools", "call"],
    ["cvm", "run"],
]


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_help_has_examples(toka, name):
    result = toka(*name, "--help")
    assert result.status == 0
    assert "Examples:" in result.out
    assert f"toka {name[0]}" in result.out


def test_the_main_help_lists_commands_and_exit_statuses(toka):
    result = toka("--help")
    assert all(name in result.out for name in _main._COMMANDS)
    assert "Exit status:" in result.out
    assert "NO_COLOR" in result.out


def test_no_command_shows_the_help(toka):
    result = toka()
    assert result.status == 2
    assert "Commands" in result.err + result.out


def test_a_slip_gets_a_suggestion(toka):
    result = toka("stauts")
    assert result.status == 2
    assert "Did you mean 'status'?" in result.err


def test_an_unknown_option_is_a_usage_error(toka):
    assert toka("status", "--nonsense").status == 2


def test_errors_are_one_line_with_the_next_thing_to_try(toka):
    result = toka("status")
    assert result.status == 2
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    assert "--data-dir" in result.err
    assert result.err.rstrip().endswith("[cli.no_data]")


def test_debug_shows_where(toka):
    with pytest.raises(NoDataDirectory):
        toka("--debug", "status")


def test_what_nobody_expected_is_said_without_a_traceback(toka, monkeypatch):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("toka.cli._init.DataDirectory", fail, raising=False)
    monkeypatch.setattr("toka.cli._status.DataDirectory", fail)
    result = toka("status")
    assert result.status == 70
    assert "unexpected ZeroDivisionError: by nothing" in result.err
    assert "--debug" in result.err
    assert "Traceback" not in result.err


def test_the_first_error_of_a_group_is_told(toka, monkeypatch):
    def fail(*_: object) -> None:
        raise ExceptionGroup("both", [ExceptionGroup("one", [UsageError("No.")])])

    monkeypatch.setattr("toka.cli._status.DataDirectory", fail)
    assert toka("status").err == "toka: No. [cli.usage]\n"


def test_colours_are_off_when_asked(data, command):
    """`click` colours a terminal only, so the test says that everything is one."""
    script = (
        "import sys, click; from toka.cli import main;"
        "sys.stdout.isatty = lambda: True; sys.exit(main(['status']))"
    )
    environment = {**os.environ, "TERM": "xterm"}
    how = {"capture_output": True, "cwd": data.parent}
    start = [command[0], "-c", script]
    coloured = subprocess.run(start, env=environment, check=True, **how)  # noqa: S603 - our own
    plain = subprocess.run(start, env={**environment, "NO_COLOR": "1"}, check=True, **how)  # noqa: S603
    assert b"\x1b[" in coloured.stdout
    assert b"\x1b[" not in plain.stdout


def test_version_is_told_at_once(command):
    """The issue's number: under 0.15 s of CPU; the fewest of some, for others use the machine."""
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*command, "--version"], capture_output=True, check=True)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.stdout.startswith(b"toka 0.")
    assert min(spent) < 0.15


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(command, shell):
    environment = {**os.environ, "_TOKA_COMPLETE": f"{shell}_source"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)  # noqa: S603
    assert b"toka" in done.stdout
    assert b"_TOKA_COMPLETE" in done.stdout


def test_a_reader_that_goes_away_is_no_error(data, command):
    start = [*command, "events", "--data-dir", str(data), "--json"]
    done = subprocess.run(  # noqa: S602 - a fixed line; the pipe is what is tested
        " ".join(start) + " | true; exit ${PIPESTATUS[0]}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_main_reads_the_arguments_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["toka", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("toka ")
