import re
import shlex
from pathlib import Path

import pytest

from toka.config_cli import main

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    exec(compile(blocks[0], "README.md", "exec"), {})  # noqa: S102 - our own documentation


def test_the_commands_print_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "agents").mkdir()
    agent = "metadata:\n  nmae: audit\ntasks: {default: [{description: look}]}\n"
    (tmp_path / "agents" / "audit.yaml").write_text(agent)
    (block,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    commands = block.split("$ toka-config ")[1:]
    assert commands
    for command in commands:
        typed, _, expected = command.partition("\n")
        main(shlex.split(typed))
        assert capsys.readouterr().out == expected
