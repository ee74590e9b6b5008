"""What is wrong is said with its place and what to do; the status is the one that is documented."""

import os
from pathlib import Path

import pytest

from toka.config_cli import main


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    Path("a.yaml").write_text("list: [1, 2]\nmap:\n  x: 1\ntext: t\n")
    Path("a.toml").write_text("when = 2026-11-21\nn = 1\n")
    Path("bad.json").write_text('{"a": 1,\n "b": nope}')
    Path("nan.json").write_text('{"a": NaN}')
    Path("deep.json").write_text("[" * 200 + "]" * 200)
    Path("latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    Path("many.yaml").write_text("a: 1\n---\na: 2\n")
    Path("folder.yaml").mkdir()
    os.mkfifo("pipe.yaml")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("get bad.json", 3, "line 2, column 7: this is not JSON"),
        ("get nan.json", 3, "NaN is no JSON value"),
        ("get deep.json", 3, "more than 100 deep"),
        ("get latin.yaml", 3, "line 2 holds byte 0xE9"),
        ("get folder.yaml", 3, "folder.yaml"),
        ("get pipe.yaml", 3, "no regular file"),
        ("get many.yaml", 2, "--document 0"),
        ("get many.yaml a --document 7", 2, "no document 7"),
        ("get a.yaml list[9]", 1, "no list[9]"),
        ("get a.yaml list[0", 2, "cannot be read from"),
        ("get a.yaml list.[0]", 2, "dot before an index"),
        ("get a.yaml list[0]x", 2, "no dot before"),
        ('get a.yaml "\\q"', 2, "wrong escape"),
        ("get a.yaml map --max-depth 0", 2, "at most 0"),
        ("set a.yaml text", 2, "no VALUE"),
        ("set a.yaml text x --type number", 2, "no number"),
        ("set a.yaml text x --type boolean", 2, "no boolean"),
        ("set a.yaml text x --type null", 2, "not nothing"),
        ("set a.yaml text x --type moment", 2, "no date or time"),
        ("set a.yaml text {x --type json", 2, "not JSON"),
        ("set a.yaml text x --stdin", 2, "one KEY"),
        ("set a.yaml list.key 1", 5, "list is a list"),
        ("set a.yaml map[0] 1", 5, "map is a mapping"),
        ("set a.yaml text.below 1", 5, "text is a single value"),
        ("set a.yaml list[7] 1", 1, "2 items"),
        ("set a.yaml list 5", 5, "list and would become a number"),
        ("delete a.yaml .", 5, "whole document"),
        ("delete a.toml .", 5, "whole document"),
        ("set a.toml n 99999999999999999999", 5, "64 bits"),
        ("set a.toml . 5 --type json", 5, "whole document"),
        ("edit a.yaml", 2, "no editor is set"),
        ("convert a.yaml", 2, "--to FORMAT"),
        ("convert a.yaml a.toml", 3, "there already"),
        ("list nowhere", 3, "no file or folder"),
        ("schema agent-spec --export x", 2, "Name none"),
        ("validate folder.yaml", 3, "no configuration file"),
        ("global max_dept 3", 2, "max_dept"),
        ("--log-level loud get a.yaml", 2, "loud"),
    ],
)
def test_it_is_said_what_is_wrong(
    arguments: str,
    status: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    before = {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    assert main(arguments.split()) == status
    shown = capsys.readouterr()
    assert words in shown.err
    assert "Traceback" not in shown.err
    assert {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


def test_dates_of_toml_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["set", "a.toml", "when", "2026-12-24T10:00:00Z", "--type", "moment"]) == 0
    assert "when = 2026-12-24T10:00:00Z\n" in Path("a.toml").read_text()
    assert main(["get", "a.toml", "when"]) == 0
    assert capsys.readouterr().out == '"2026-12-24T10:00:00+00:00"\n'


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("toka-config ")
