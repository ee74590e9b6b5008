import fcntl
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from toka.config_cli import _errors, _exits, main
from toka.config_cli import _main as main_module
from toka.config_cli._main import COMMANDS

APP = """\
# head
server: # the one
  host: "localhost"
  port: 80   # http
tags: [a, b]
llm: {api_key: hunter2, url: "http://u:pw@h/", note: "${HOST:-none}"}
"""


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    path = tmp_path / "app.yaml"
    path.write_text(APP)
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """Run a command, and return what it printed."""
    found = main(list(arguments))
    out, err = capsys.readouterr()
    assert found == status, out + err
    return out if not status or out else err


def test_get_prints_texts_as_they_are_and_all_else_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said(capsys, "get", "app.yaml", "server.host") == "localhost\n"
    assert said(capsys, "get", "app.yaml", "tags[-1]") == "b\n"
    assert json.loads(said(capsys, "get", "app.yaml", "server"))["port"] == 80
    assert said(capsys, "get", "app.yaml", "server", "-o", "toml").endswith("port = 80\n")
    assert said(capsys, "get", "app.yaml", "nothing", "--default", "x") == "x\n"
    assert "no nothing" in said(capsys, "get", "app.yaml", "nothing", status=1)


def test_secrets_are_masked_unless_they_may_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["get", "app.yaml"],
        ["get", "app.yaml", "llm.api_key"],
        ["list", "app.yaml"],
    ):
        assert "hunter2" not in said(capsys, *arguments)
        assert "hunter2" in said(capsys, *arguments, "--reveal")
    assert ":********@" in said(capsys, "get", "app.yaml", "llm.url")
    shown = said(capsys, "set", "app.yaml", "llm.api_key", "other", "-n")
    assert "hunter2" not in shown
    assert "other" not in shown
    Path("b.yaml").write_text(APP.replace("hunter2", "hunter3"))
    shown = said(capsys, "diff", "app.yaml", "b.yaml", status=1)
    assert "hunter" not in shown
    assert "~ llm.api_key" in shown


def test_variables_are_shown_filled_in_and_never_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, app: Path
) -> None:
    assert said(capsys, "get", "app.yaml", "llm.note") == "${HOST:-none}\n"
    assert said(capsys, "get", "app.yaml", "llm.note", "--expand") == "none\n"
    monkeypatch.setenv("HOST", "here")
    assert said(capsys, "get", "app.yaml", "llm.note", "--expand") == "here\n"
    app.write_text("a: ${inputs.x} $$ ${UNSET_HERE}\n")
    assert "UNSET_HERE is not set" in said(capsys, "get", "app.yaml", "a", "--expand", status=1)
    assert "${UNSET_HERE}" in app.read_text()


def test_a_dry_run_shows_the_difference_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], app: Path
) -> None:
    shown = said(capsys, "set", "app.yaml", "server.port", "81", "-n")
    assert "-  port: 80   # http\n+  port: 81   # http\n" in shown
    assert app.read_text() == APP


def test_several_changes_are_made_all_or_none(
    capsys: pytest.CaptureFixture[str], app: Path
) -> None:
    said(capsys, "edit", "app.yaml", "--set", "server.port", "1", "--delete", "none", status=1)
    assert app.read_text() == APP
    said(
        capsys, "edit", "app.yaml", "--set", "server.port", "1", "--append", "tags", "c",
        "--delete", "llm", "--set-text", "version", "1.10",
    )  # fmt: skip
    assert app.read_text() == (
        APP.split("llm:", maxsplit=1)[0].replace("80", "1").replace("[a, b]", "[a, b, c]")
        + 'version: "1.10"\n'
    )


def test_a_change_of_type_has_to_be_meant(capsys: pytest.CaptureFixture[str], app: Path) -> None:
    assert "--type number" in said(capsys, "set", "app.yaml", "server.host", "1.10", status=5)
    refused = said(capsys, "set", "app.yaml", "server.port", "high", status=5)
    assert refused.count("--type text") == 1
    said(capsys, "set", "app.yaml", "server.host", "1.10", "--type", "text")
    assert 'host: "1.10"' in app.read_text()
    said(capsys, "set", "app.yaml", "server.port", "null")
    assert "port: null   # http" in app.read_text()


def test_a_value_can_come_from_standard_input(app: Path) -> None:
    command = [sys.executable, "-m", "toka.config_cli", "set", str(app), "llm.api_key", "--stdin"]
    subprocess.run(command, input=b"12345\n", check=True)  # noqa: S603 - our own command
    assert 'api_key: "12345"' in app.read_text()


def test_mode_and_link_are_kept(app: Path, tmp_path: Path) -> None:
    app.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(app)
    assert main(["set", "link.yaml", "server.port", "1"]) == 0
    assert link.is_symlink()
    assert stat.S_IMODE(app.stat().st_mode) == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["app.yaml", "link.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may give a file away")
def test_the_owner_is_kept(app: Path) -> None:
    os.chown(app, 1234, 2345)
    assert main(["set", "app.yaml", "server.port", "1"]) == 0
    assert (app.stat().st_uid, app.stat().st_gid) == (1234, 2345)


def test_a_held_lock_is_waited_for_and_then_said(
    capsys: pytest.CaptureFixture[str], app: Path
) -> None:
    handle = os.open(app.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        arguments = ["set", "app.yaml", "server.port", "1", "--lock-timeout", "0.05"]
        assert "Another edit" in said(capsys, *arguments, status=3)
    finally:
        os.close(handle)
    assert app.read_text() == APP


def test_concurrent_edits_lose_nothing(app: Path) -> None:
    app.write_text("{}\n")
    running = [
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "toka.config_cli", "set", str(app), f"k{n}", str(n)]
        )
        for n in range(4)
    ]
    assert [process.wait(30) for process in running] == [0] * 4
    assert len(app.read_text().split(",")) == 4


def test_a_file_that_somebody_else_changed_meanwhile_is_left_alone(
    capsys: pytest.CaptureFixture[str], app: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\necho 'a: 1' > {app}\necho 'b: 2' > $1\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    assert "somebody else" in said(capsys, "edit", "app.yaml", status=3)
    assert app.read_text() == "a: 1\n"


def test_an_editor_is_opened_on_a_copy_that_must_parse(
    capsys: pytest.CaptureFixture[str], app: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\necho 'a: [1' > $1\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    assert "not YAML" in said(capsys, "edit", "app.yaml", status=3)
    assert app.read_text() == APP
    editor.write_text("#!/bin/sh\necho 'a: [1]' > $1\n")
    said(capsys, "edit", "app.yaml")
    assert app.read_text() == "a: [1]\n"


def test_conversion_says_what_is_lost_and_can_refuse_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("x.yaml").write_text("a: &x {b: 1} # one\nc: *x\nd: ~\ne: !mine 5\n")
    assert main(["convert", "x.yaml", "--to", "toml"]) == 0
    out, err = capsys.readouterr()
    assert "[c]\nb = 1" in out
    for lost in ("1 comment", "1 alias", "tag !mine at line 4", "null at d"):
        assert lost in err
    assert main(["convert", "x.yaml", "x.toml", "--strict"]) == 5
    assert not Path("x.toml").exists()
    Path("y.toml").write_text('when = 2026-11-21T10:00:00Z\n[t]\n"a b" = inf\n')
    assert main(["convert", "y.toml", "y.json"]) == 0
    assert json.loads(Path("y.json").read_text()) == {
        "when": "2026-11-21T10:00:00+00:00",
        "t": {"a b": None},
    }


def test_diff_ignores_formats_and_order(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_text('{"b": [1, 2], "a": 1}')
    Path("b.toml").write_text("a = 1\nb = [1, 2]\n")
    assert said(capsys, "diff", "a.json", "b.toml") == ""
    Path("b.toml").write_text("a = 1.0\nb = [1]\nc = 'x'\n")
    shown = said(capsys, "diff", "a.json", "b.toml", status=1)
    assert shown == '- b[1]: 2\n~ a: 1 -> 1.0\n+ c: "x"\n'
    assert json.loads(said(capsys, "diff", "a.json", "b.toml", "-o", "json", status=1))[0] == {
        "change": "-",
        "path": "b[1]",
        "old": 2,
    }


def test_merge_lays_one_file_over_another_and_keeps_the_comments(
    capsys: pytest.CaptureFixture[str], app: Path
) -> None:
    Path("over.toml").write_text("tags = ['c']\n[server]\nport = 81\n[new]\nx = 1\n")
    merged = APP.replace("80", "81").replace("[a, b]", "[c]").rstrip("\n") + "\nnew:\n  x: 1\n"
    assert said(capsys, "merge", "app.yaml", "over.toml") == merged
    assert app.read_text() == APP
    said(capsys, "merge", "app.yaml", "over.toml", "--write", "--lists", "append")
    assert app.read_text() == merged.replace("[c]", "[a, b, c]")


def test_defaults_of_a_person_hold_and_options_win(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "global", "max_depth", "1")
    assert said(capsys, "global", "max_depth") == "1\n"
    assert "at most 1" in said(capsys, "get", "app.yaml", "server.port", status=2)
    assert said(capsys, "get", "app.yaml", "server.port", "--max-depth", "2") == "80\n"
    assert "does not take" in said(capsys, "global", "max_depth", "many", status=2)
    said(capsys, "global", "max_depth", "--unset")
    assert said(capsys, "global", "max_depth") == "10\n"


def test_every_command_helps_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert f"toka-config {command}" in said(capsys, command, "--help").split("examples:")[1]


def test_a_misspelt_command_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'validate'" in said(capsys, "valdate", status=2)
    assert "--help" in said(capsys, "get", "app.yaml", "--nope", status=2)


def test_every_code_has_an_exit_status_of_its_own_family() -> None:
    for name in vars(_errors):
        kind = getattr(_errors, name)
        if isinstance(kind, type) and issubclass(kind, _errors.ConfigError):
            expected = _exits.FAILED if kind is _errors.ConfigError else None
            assert (_exits.exit_for(kind.default_code) == _exits.FAILED) == (expected is not None)


def test_every_refusal_names_an_error_that_there_is() -> None:
    import re  # noqa: PLC0415 - of this test alone

    folder = Path(main_module.__file__ or "").parent
    names = {
        name
        for file in folder.glob("*.py")
        for name in re.findall(r'refuse\(\s*"(\w+)"', file.read_text())
    }
    assert names
    assert all(hasattr(_errors, name) for name in names)


def test_get_loads_neither_types_nor_schemas_nor_editors(app: Path) -> None:
    code = (
        "import sys; from toka.config_cli import main; main(['get', sys.argv[1], 'server.port']);"
        "print(sorted({'toka.types', 'jsonschema', 'tomlkit', 'attrs'} & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code, str(app)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "80\n[]\n"
