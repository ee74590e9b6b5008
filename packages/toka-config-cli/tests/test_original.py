"""The behaviours that the original's 21 tests held, under their names of now."""

import json
from pathlib import Path

import pytest

from toka.config_cli import Rules, main, parse_path
from toka.config_cli._errors import ConfigError, FileUnusable, KeyPathInvalid, NotThere
from toka.config_cli._file import format_of


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


@pytest.mark.parametrize("text", ["key", "a.b.c", "a-b.c_d", "a1", "x" * 50])
def test_a_valid_key_path_is_taken(text: str) -> None:
    assert parse_path(text) == tuple(text.split("."))


@pytest.mark.parametrize("text", ["", "a..b", ".a", "a."])
def test_an_empty_segment_is_refused(text: str) -> None:
    with pytest.raises(KeyPathInvalid, match="empty segment"):
        parse_path(text)


@pytest.mark.parametrize("word", ["null", "true", "false", "undefined"])
def test_a_reserved_word_is_refused_unless_it_is_quoted(word: str) -> None:
    with pytest.raises(KeyPathInvalid, match="reserved"):
        parse_path(f"a.{word}")
    assert parse_path(f'a."{word}"') == ("a", word)
    assert parse_path(f"a.{word}", Rules(any_key=True)) == ("a", word)


@pytest.mark.parametrize("text", ["a b", "a$b", "a/b", "a@b", "ä"])
def test_other_characters_are_refused_unless_they_are_quoted(text: str) -> None:
    with pytest.raises(KeyPathInvalid, match="characters"):
        parse_path(text)
    assert parse_path(f"'{text}'") == (text,)


def test_a_leading_digit_is_refused() -> None:
    with pytest.raises(KeyPathInvalid, match="starts with a digit"):
        parse_path("a.1b")


def test_a_path_of_ten_segments_is_taken_and_of_eleven_refused() -> None:
    assert len(parse_path(".".join("a" * 10))) == 10
    with pytest.raises(KeyPathInvalid, match="11 segments"):
        parse_path(".".join("a" * 11))
    assert len(parse_path(".".join("a" * 11), Rules(max_depth=20))) == 11


def test_good_json_content_becomes_a_file() -> None:
    assert main(["create", "a.yaml", "-c", '{"a": {"b": [1, null]}}']) == 0
    assert Path("a.yaml").read_text() == "a:\n  b:\n    - 1\n    - null\n"


def test_bad_json_content_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create", "a.yaml", "-c", "{nope"]) == 2
    assert "not JSON" in capsys.readouterr().err
    assert not Path("a.yaml").exists()


@pytest.mark.parametrize(
    ("name", "format_"),
    [("a.yaml", "yaml"), ("a.YML", "yaml"), ("a.json", "json"), ("a.toml", "toml")],
)
def test_the_end_of_a_name_says_the_format(name: str, format_: str) -> None:
    assert format_of(Path(name)) == format_


def test_another_end_is_refused() -> None:
    with pytest.raises(FileUnusable, match=r"\.yaml, \.yml, \.json, \.toml"):
        format_of(Path("a.ini"))


def test_a_name_that_leaves_its_folder_is_refused_unless_allowed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert main(["get", "../a.json"]) == 2
    assert "'..'" in capsys.readouterr().err
    assert main(["get", "../a.json", "--allow-parent"]) == 0


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.toml"])
def test_create_read_update_validate_and_list_work_together(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["create", name, "-c", '{"server": {"port": 80}}']) == 0
    assert main(["update", name, "server.port", "8080", "server.tls.on", "true"]) == 0
    assert main(["validate", name]) == 0
    assert "1 keys" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert name in capsys.readouterr().out
    assert main(["read", name]) == 0
    assert json.loads(capsys.readouterr().out) == {"server": {"port": 8080, "tls": {"on": True}}}


def test_create_never_touches_a_file_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text("a: 1\n")
    assert main(["create", "a.yaml"]) == 3
    assert "there already" in capsys.readouterr().err
    assert Path("a.yaml").read_text() == "a: 1\n"


def test_create_wants_the_folder_to_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create", "none/a.yaml"]) == 3
    assert "no folder" in capsys.readouterr().err


def test_update_makes_the_mappings_on_the_way() -> None:
    Path("a.json").write_text("{}")
    assert main(["set", "a.json", "a.b.c", "1"]) == 0
    assert json.loads(Path("a.json").read_text()) == {"a": {"b": {"c": 1}}}


def test_delete_takes_a_key_out_and_a_missing_one_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("a.toml").write_text("# top\n[a]\nb = 1 # one\nc = 2\n")
    assert main(["delete", "a.toml", "a.b"]) == 0
    assert Path("a.toml").read_text() == "# top\n[a]\nc = 2\n"
    assert main(["delete", "a.toml", "a.b"]) == 1
    assert "no a.b" in capsys.readouterr().err
    assert main(["delete", "a.toml", "a.b", "--missing-ok"]) == 0


def test_a_missing_file_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "none.yaml"]) == 3
    assert "There is no file none.yaml" in capsys.readouterr().err


def test_errors_say_what_and_what_to_do() -> None:
    with pytest.raises(KeyPathInvalid) as caught:
        parse_path("a.0")
    assert str(caught.value).endswith("For an item of a list write [0]; for a key, quotes.")
    assert caught.value.code == "config.key_path"
    assert issubclass(NotThere, ConfigError)


def test_the_command_line_names_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    commands = "get set delete create list validate convert diff merge edit schema global"
    for command in commands.split():
        assert f"\n  {command} " in shown


@pytest.mark.parametrize("level", ["error", "warn", "info", "debug", "trace"])
def test_every_log_level_of_the_original_is_taken(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.json").write_text('{"a": 1}')
    assert main(["--log-level", level, "set", "a.json", "a", "2"]) == 0
    assert ("was changed" in capsys.readouterr().err) == (level in ("info", "debug", "trace"))


def test_null_cannot_be_put_into_toml(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.toml").write_text("a = 1\n")
    assert main(["set", "a.toml", "a", "null"]) == 5
    assert "no null" in capsys.readouterr().err
    assert Path("a.toml").read_text() == "a = 1\n"
