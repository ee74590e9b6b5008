"""Directories of manifests: what changes is taken at the next call, what breaks is not."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from toka.tools import ManifestDirectory, ToolRegistry, UnknownToolError, tool

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """
metadata: {{name: {name}, version: "1", description: {description}, created: "2025-07-06"}}
spec:
  executable: {{type: shell, path: x.sh}}
  parameters: [{{name: mode, type: enum, values: [{values}]}}]
"""


def write(path: Path, name: str = "one", description: str = "First.", values: str = "a") -> None:
    path.write_text(MANIFEST.format(name=name, description=description, values=values))


@pytest.fixture
def directory(tmp_path: Path) -> ManifestDirectory:
    return ManifestDirectory(tmp_path)


@pytest.fixture
def registry(directory: ManifestDirectory) -> ToolRegistry:
    registry = ToolRegistry.builtin()
    registry.add_source(directory)
    return registry


def test_manifests_are_tools_of_the_registry(registry, tmp_path) -> None:
    count = len(registry)
    write(tmp_path / "a.yaml")
    write(tmp_path / "b.yml", "two")
    (tmp_path / "notes.txt").write_text("no manifest")
    write(tmp_path / ".hidden.yaml", "three")
    assert len(registry) == count + 2
    assert {"one", "two"} < set(registry.names())
    assert registry.get("one").description == "First."


def test_a_changed_manifest_is_taken_at_the_next_call(registry, tmp_path) -> None:
    write(tmp_path / "a.yaml")
    before = registry.get("one")
    assert registry.get("one") is before
    registry.validate("one", {"mode": "a"})
    write(tmp_path / "a.yaml", description="Other.", values="b")
    after = registry.get("one")
    assert after.description == "Other."
    assert after.version != before.version
    registry.validate("one", {"mode": "b"})
    with pytest.raises(ValueError, match="mode"):
        registry.validate("one", {"mode": "a"})


def test_a_change_of_equal_size_is_seen(registry, tmp_path) -> None:
    write(tmp_path / "a.yaml", values="a")
    registry.get("one")
    status = (tmp_path / "a.yaml").stat()
    write(tmp_path / "new", values="b")
    os.utime(tmp_path / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "new").replace(tmp_path / "a.yaml")
    registry.validate("one", {"mode": "b"})


def test_a_broken_one_leaves_the_old_and_says_so(registry, directory, tmp_path, caplog) -> None:
    write(tmp_path / "a.yaml")
    before = registry.get("one")
    (tmp_path / "a.yaml").write_text("metadata: {name: one\n")
    with caplog.at_level(logging.WARNING):
        assert registry.get("one") is before
        assert registry.get("one") is before
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "a.yaml:" in directory.problems["a.yaml"]
    write(tmp_path / "a.yaml", description="Mended.")
    assert registry.get("one").description == "Mended."
    assert directory.problems == {}


def test_one_that_was_never_right_is_no_tool(registry, directory, tmp_path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UnknownToolError):
        registry.get("one")
    assert "a.json:1:2" in directory.problems["a.json"]


def test_a_removed_one_is_gone(registry, tmp_path) -> None:
    write(tmp_path / "a.yaml")
    registry.get("one")
    (tmp_path / "a.yaml").unlink()
    with pytest.raises(UnknownToolError):
        registry.get("one")


def test_two_of_one_name_are_told(registry, directory, tmp_path) -> None:
    write(tmp_path / "a.yaml", description="First.")
    write(tmp_path / "b.yaml", description="Second.")
    assert registry.get("one").description == "First."
    assert directory.problems == {"b.yaml": "a.yaml describes a tool 'one' already."}


def test_what_was_registered_goes_first(registry, tmp_path) -> None:
    @tool(side_effect="none", name="one")
    async def own() -> None:
        """Own."""

    registry.register(own)
    write(tmp_path / "a.yaml")
    write(tmp_path / "b.yaml", "read-file", "Not the real one.")
    assert registry.get("one") is own
    assert "Not" not in registry.get("read_file").description


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_manifest_that_others_may_write_is_not_taken(tmp_path, caplog, mode: int) -> None:
    tmp_path.chmod(0o755)
    path, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    write(path)
    directory = ManifestDirectory(tmp_path, private=True)
    registry = ToolRegistry()
    registry.add_source(directory)
    before = registry.get("one")
    path.chmod(mode)
    assert registry.get("one") is before
    write(path, description="Do as somebody else says.")
    assert registry.get("one") is before
    assert "chmod go-w" in directory.problems["a.yaml"]
    write(other, "two")
    other.chmod(mode)
    with pytest.raises(UnknownToolError):
        registry.get("two")
    path.chmod(0o600)
    assert registry.get("one").description == "Do as somebody else says."
    assert set(directory.problems) == {"b.yaml"}
    assert "can be written by others" in caplog.text
    # Whoever does not ask for it takes all of them.
    assert set(ManifestDirectory(tmp_path).tools()) == {"one", "two"}


def test_what_is_no_file_is_told_and_not_waited_for(directory, tmp_path) -> None:
    write(tmp_path / "a.yaml")
    os.mkfifo(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").mkdir()
    assert set(directory.tools()) == {"one"}
    assert set(directory.problems) == {"b.yaml", "c.yaml"}


def test_a_folder_that_others_may_write_stays_what_it_was(tmp_path, caplog) -> None:
    write(tmp_path / "a.yaml")
    directory = ManifestDirectory(tmp_path, private=True)
    assert set(directory.tools()) == {"one"}
    tmp_path.chmod(0o777)
    write(tmp_path / "b.yaml", "two")
    assert set(directory.tools()) == set(directory.tools()) == {"one"}
    assert "chmod go-w" in directory.problems["."]
    assert len(caplog.records) == 1
    tmp_path.chmod(0o700)
    assert set(directory.tools()) == {"one", "two"}
    assert directory.problems == {}


def test_a_directory_that_goes_away_leaves_what_was(registry, tmp_path, directory) -> None:
    write(tmp_path / "a.yaml")
    registry.get("one")
    directory.path = tmp_path / "gone"
    assert registry.get("one").description == "First."
