"""An edit that is killed leaves the old file or the new one, and nothing that stays."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toka.config_cli import load, main

ROUNDS = 6
REST = "".join([f"key{n}: 'value' # {n}\n" for n in range(2_000)])
EDITOR = """\
import sys
from toka.config_cli import main
for number in range(int(sys.argv[2]), 10**6):
    assert main(["set", sys.argv[1], "counter", str(number)]) == 0
    print(number, flush=True)
"""
KILLED = """\
import os, signal, sys
from pathlib import Path
from toka.config_cli import main
owner, name = (Path if sys.argv[2] == "Path" else os), sys.argv[3]
real = getattr(owner, name)
def die(*arguments, **options):
    if sys.argv[4] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, die)
main(["set", sys.argv[1], "counter", "1"])
"""


def test_an_edit_killed_at_any_moment_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(f"counter: 0\n{REST}")
    chance, done = random.Random(7), 0  # noqa: S311 - says when to kill
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", EDITOR, str(file), str(done + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as editor:  # noqa: S603 - ours
            assert editor.stdout is not None
            done = int(editor.stdout.readline())
            time.sleep(chance.random() / 20)  # any moment will do
            editor.kill()
            done = max([done, *[int(line) for line in editor.stdout]])
        text = file.read_text()
        counter = load(text, "yaml").data(("counter",))
        # An edit that was told of is there; the one after it may be.
        assert counter in (done, done + 1)
        assert text == f"counter: {counter}\n{REST}"
        done = int(str(counter))
    assert main(["set", str(file), "counter", "-1"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["app.yaml"]


@pytest.mark.parametrize(
    ("owner", "name", "when", "counter"),
    [
        ("os", "fchmod", "before", 0),
        ("os", "fsync", "before", 0),
        ("os", "fsync", "after", 0),
        ("Path", "replace", "before", 0),
        ("Path", "replace", "after", 1),
        ("Path", "unlink", "before", 1),
    ],
)
def test_every_step_of_an_edit_can_be_the_last(
    owner: str, name: str, when: str, counter: int, tmp_path: Path
) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(f"counter: 0\n{REST}")
    command = [sys.executable, "-c", KILLED, str(file), owner, name, when]
    killed = subprocess.run(command, check=False)  # noqa: S603 - ours
    assert killed.returncode == -signal.SIGKILL
    assert file.read_text() == f"counter: {counter}\n{REST}"


def test_what_a_killed_edit_left_is_removed_by_the_next_and_nothing_else_is(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text("a: 1\n")
    for name in (".app.yaml.abcdefgh.toka-config", ".app.yaml.swp", ".app.yaml.bak"):
        (tmp_path / name).write_text("half")
    assert main(["set", str(file), "a", "2"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "app.yaml",
        ".app.yaml.swp",
        ".app.yaml.bak",
    }
