"""Bad specifications at the real command line: one clear error, status 2, and nothing started."""

import subprocess
import sys
from pathlib import Path

import pytest

from toka.cli import main

GOOD = """\
metadata: {name: one}
tasks:
  default:
    - {id: work, description: say hello}
"""

TWO = """\
agents:
  - {name: one, tasks: {default: [{description: a}]}, dependencies: {required: [two]}}
  - {name: two, tasks: {default: [{description: b}]}, dependencies: {required: [FIRST]}}
"""

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)

BAD = {
    "wrong YAML": ("metadata: {name: one\ntasks: 5\n", ":2:6: ", "indentation"),
    "a tab": ("metadata:\n\tname: one\n", ":2:1: ", "indentation"),
    "a misspelt key": (GOOD + "securty: {}\n", ":5:1: ", "Did you mean 'security'"),
    "a misspelt key within": (
        GOOD + "security: {capabilties_required: []}\n",
        ":5:12: ",
        "Did you mean 'capabilities_required'",
    ),
    "a wrong type": (GOOD + "security: {sandbox: 7}\n", ":5:21: ", "true or false"),
    "a wrong priority": (GOOD + "spec: {priority: urgent}\n", ":5:18: ", "critical"),
    "no name": ("tasks: {default: [{description: a}]}\n", ":1:1: ", "name"),
    "one name twice": (TWO.replace("two, tasks", "one, tasks"), ":3:", "Rename or remove one"),
    "one key twice": (GOOD + "metadata: {name: two}\n", ":5:1: ", "keep one"),
    "a circle": (TWO.replace("FIRST", "one"), ":2:", "one -> two -> one"),
    "a circle of one": (TWO.replace("FIRST", "two"), ":3:", "two -> two"),
    "an unknown dependency": (TWO.replace("FIRST", "oen"), ":3:", "Did you mean 'one'"),
    "an unknown task": (
        GOOD.replace("say hello", "say hello, depends_on: [wrok]")
        .replace("hello,", "hello',")
        .replace("description: say", "description: 'say"),
        ":4:",
        "wrok",
    ),
    "a wrong expression": (
        GOOD + "objectives: [{description: x, check: 'results.'}]\n",
        ":5:31: ",
        "expression",
    ),
    "a wrong permission": (
        GOOD + "security: {capabilities_required: ['fs:read:${inputs.}']}\n",
        ":5:36: ",
        "expression",
    ),
    "an unknown tool": (
        GOOD.replace("say hello}", "say hello, steps: [{tool: lst_files, with: {path: .}}]}"),
        ":4:",
        "Did you mean 'list_files'",
    ),
    "a bomb": (BOMB, "", "values"),
    "ten megabytes": ("x" * 10_000_000, "", "Split it into several files"),
    "binary": (b"\x7fELF\x00\x01\xff\xfe" * 64, "", "UTF-8"),
    "nothing": ("", "", "empty"),
    "a list": ("- a\n- b\n", ":1:1: ", "mapping"),
}


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    """Run the command, and return the one error that it printed."""
    data = folder / "data"
    status = main(["run", *arguments, "--data-dir", str(data)])
    said = capsys.readouterr()
    assert status == 2, said
    assert said.out == ""
    assert said.err.startswith("toka: ")
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    assert not data.exists()
    return said.err


@pytest.mark.parametrize("name", BAD)
def test_a_bad_specification_is_one_error_with_its_place_and_a_remedy(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, place, remedy = BAD[name]
    file = tmp_path / "agents.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    error = refused(capsys, tmp_path, str(file))
    assert f"{file}{place}" in error, error
    assert remedy in error
    assert len(error) < 2_000


@pytest.mark.parametrize("name", ["missing.yaml", "folder.yaml", "empty", "notes.txt"])
def test_a_path_that_is_no_specification_is_said_to_be_none(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    error = refused(capsys, tmp_path, str(tmp_path / name))
    assert str(tmp_path / name) in error


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ([], "--input number="),
        (["--input", "number=many"], "number"),
        (["--input", "number=1", "--input", "nmber=2"], "Did you mean"),
        (["--input", "number"], "--input target=."),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_anything_starts(
    given: list[str], remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(GOOD + "inputs: {number: {type: integer, required: true}}\n")
    assert remedy in refused(capsys, tmp_path, str(file), *given)


def test_the_command_itself_ends_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(GOOD + "securty: {}\n")
    command = [sys.executable, "-m", "toka.cli", "run", "agents.yaml"]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'security'" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["agents.yaml"]
