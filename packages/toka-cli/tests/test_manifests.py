"""`toka tools describe`, `toka tools validate`, and tools of manifests."""

import json
import sys

import pytest

MANIFEST = """
metadata: {name: word-count, version: "1.0", description: Count., created: "2025-07-06"}
spec:
  executable: {type: shell, path: count.sh}
  parameters: [{name: text, type: string, required: true, description: What to count.}]
"""


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "tools"
    home.mkdir()
    (home / "count.yaml").write_text(MANIFEST)
    (home / "count.sh").write_text("echo '[1]'")
    return home


def test_describes_a_tool(toka):
    text = toka("tools", "describe", "http_request").out
    assert "external, at worst" in text
    assert "net:get:" in text
    assert "parameter    url  An http or https URL" in text
    assert "parameter    body (optional)" in text
    told = toka("tools", "describe", "read_file", "--json").json
    assert (told["name"], told["actions"], told["taints"]) == ("read_file", ["fs:read"], True)
    wrong = toka("tools", "describe", "raed_file")
    assert wrong.status == 2
    assert "read_file" in wrong.err


def test_tools_of_manifests_are_listed_and_described(toka, home):
    names = [one["name"] for one in toka("tools", "list", "--manifests", home, "--json").json]
    assert {"word_count", "read_file"} < set(names)
    text = toka("tools", "describe", "word_count", "--manifests", home).out
    assert "What to count." in text


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
def test_a_tool_of_a_manifest_is_called(toka, home):
    arguments = json.dumps({"text": "a b"})
    call = ("tools", "call", "word_count", "--manifests", home, "--args", arguments)
    done = toka(*call, "--allow", f"proc:run:{home}/count.sh")
    if done.status == 0:
        assert done.json["output"] == [1]
    else:  # a machine that does not prove the level
        assert "tools.sandbox_unavailable" in done.err
    assert toka(*call).status == 5


def test_validates_manifests_with_line_and_column(toka, home):
    good = toka("tools", "validate", home / "count.yaml")
    assert (good.status, good.err) == (0, "")
    assert "word_count" in good.out
    (home / "count.yaml").write_text(MANIFEST.replace("required:", "requried:"))
    bad = toka("tools", "validate", home)
    assert bad.status == 1
    assert f"{home}/count.yaml:5:43:" in bad.err
    assert "Did you mean 'required'?" in bad.err
    (told,) = toka("tools", "validate", home, "--json").json
    assert (told["valid"], told["line"], told["column"]) == (False, 5, 43)


def test_what_a_manifest_names_and_is_not_there_is_warned_about(toka, home):
    (home / "count.sh").unlink()
    depends = "dependencies: {system: [sh, no-such-program]}"
    (home / "count.yaml").write_text(MANIFEST + depends)
    done = toka("tools", "validate", home)
    assert done.status == 0
    assert "There is no program at" in done.out
    assert "'no-such-program'" in done.out
    assert "'sh'" not in done.out


def test_nothing_to_validate_is_told(toka, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert toka("tools", "validate", empty).status == 1
    assert toka("tools", "validate", tmp_path / "none").status == 2


def test_a_broken_manifest_does_not_hide_the_others(toka, home):
    (home / "broken.json").write_text("{")
    listed = toka("tools", "list", "--manifests", home, "--json")
    assert "word_count" in [one["name"] for one in listed.json]
    assert "broken.json:1:2" in listed.err
