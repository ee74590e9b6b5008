"""Files and folders of specifications."""

import os
import time
from pathlib import Path

import pytest

from toka.orchestration import (
    DuplicateNameError,
    SeveralSpecErrors,
    SpecFileError,
    SpecStructureError,
    load_specs,
    parse_specs,
)

MINIMAL = """\
metadata: {name: one}
tasks:
  default:
    - description: say hello
"""


def write(folder, name, text: str | bytes = MINIMAL):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def named(name, more=""):
    return MINIMAL.replace("one", name) + more


def test_a_folder_is_read_by_name_without_hidden_files_and_folders(tmp_path):
    write(tmp_path, "b.yml", named("b"))
    write(tmp_path, "a.yaml", named("a"))
    write(tmp_path, ".hidden.yaml", "[")
    write(tmp_path, "README.md", "text")
    (tmp_path / "nested").mkdir()
    write(tmp_path / "nested", "c.yaml", "[")
    specs = load_specs(tmp_path)
    assert [agent.name for agent in specs.agents] == ["a", "b"]
    assert [path.name for path in specs.files] == ["a.yaml", "b.yml"]


def test_faults_of_several_files_are_told_together(tmp_path):
    write(tmp_path, "a.yaml", "[")
    write(tmp_path, "b.yaml", named("b", "      wrong: 1\n"))
    with pytest.raises(SeveralSpecErrors) as caught:
        load_specs(tmp_path)
    assert [Path(each.place.file).name for each in caught.value.errors] == [
        "a.yaml",
        "b.yaml",
    ]


def test_two_files_that_define_one_agent_are_both_named(tmp_path):
    write(tmp_path, "a.yaml")
    write(tmp_path, "b.yaml")
    with pytest.raises(DuplicateNameError) as caught:
        load_specs(tmp_path)
    assert "a.yaml:1" in caught.value.message
    assert caught.value.place.file.endswith("b.yaml")


def test_one_file_that_defines_an_agent_twice_is_refused():
    text = "agents:\n" + "- {name: a, tasks: {default: [{description: x}]}}\n" * 2
    with pytest.raises(DuplicateNameError) as caught:
        parse_specs(text.encode(), "a.yaml")
    assert caught.value.place.line == 3


def test_settings_may_have_a_file_of_their_own(tmp_path):
    write(tmp_path, "a.yaml")
    write(tmp_path, "orchestration.yaml", "orchestration: {max_concurrent_agents: 2}\n")
    assert load_specs(tmp_path).settings.max_concurrent_agents == 2


def test_settings_that_differ_between_files_are_refused(tmp_path):
    write(tmp_path, "a.yaml", named("a", "orchestration: {max_concurrent_agents: 1}\n"))
    write(tmp_path, "b.yaml", named("b", "orchestration: {max_concurrent_agents: 2}\n"))
    with pytest.raises(SpecStructureError, match="differs from the one in"):
        load_specs(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", b"\xff\xfea\0b\0", "UTF-16"),
        ("a.yaml", MINIMAL.encode("utf-16"), "UTF-16"),
        ("a.yaml", b"name: \xff\n", "not UTF-8"),
        ("a.yaml", b"name: a\x00b\n", r"U\+0000"),
        ("a.json", b"\x7fELF\x02\x01\x01\x00", r"U\+007F"),
        ("a.txt", b"name: a", "does not end in '.txt'"),
        ("a", b"name: a", "does not end in 'nothing'"),
    ],
)
def test_files_that_are_no_text_are_refused(tmp_path, name, content, words):
    with pytest.raises(SpecFileError, match=words):
        load_specs(write(tmp_path, name, content))


def test_a_fault_of_encoding_has_a_place(tmp_path):
    with pytest.raises(SpecFileError) as caught:
        load_specs(write(tmp_path, "a.yaml", "a: 1\nb: é".encode() + b"\xff"))
    assert (caught.value.place.line, caught.value.place.column) == (2, 5)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SpecFileError, match="no such file"):
        load_specs(tmp_path / "gone.yaml")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SpecFileError, match="holds no specification"):
        load_specs(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(SpecFileError, match="no regular file"):
        load_specs(tmp_path / "a.yaml")


def test_a_directory_called_like_a_file_is_read_as_a_folder(tmp_path):
    folder = tmp_path / "agents.yaml"
    folder.mkdir()
    write(folder, "a.yaml")
    assert load_specs(folder).agents


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    path = write(tmp_path, "a.yaml", b"x" * 10_000_000)
    started = time.perf_counter()
    with pytest.raises(SpecFileError, match="10,000,000 bytes"):
        load_specs(path)
    assert time.perf_counter() - started < 0.05


def test_an_unreadable_file_is_refused(tmp_path):
    path = write(tmp_path, "a.yaml")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(SpecFileError, match="cannot be read"):
        load_specs(path)


@pytest.mark.parametrize("name", ["a\0b.yaml", "x" * 300 + ".yaml"])
def test_a_path_that_cannot_be_is_refused(tmp_path, name):
    with pytest.raises(SpecFileError):
        load_specs(tmp_path / name)
