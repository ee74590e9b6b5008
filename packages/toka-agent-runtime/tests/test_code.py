from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from toka.agent_runtime import Code, EntryInvalid, load_entry

if TYPE_CHECKING:
    from pathlib import Path


def test_a_function_is_found_in_the_directory_given(tmp_path: Path):
    package = tmp_path / "found_here"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "work.py").write_text("async def run(ctx):\n    return 1\n")
    code = load_entry("found_here.work:run", tmp_path)
    assert isinstance(code, Code)
    assert code.function.__name__ == "run"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("no_colon", "Write package.module:function"),
        (":run", "Write package.module:function"),
        ("nowhere_at_all:run", "no module 'nowhere_at_all'"),
        ("entry_module:missing", "no 'missing'"),
        ("entry_module:plain", "not an async function"),
        ("entry_module:two", "one context"),
        ("entry_module:VALUE", "not an async function"),
        ("entry_broken:run", "ZeroDivisionError"),
        ("entry_needs:run", "no module 'not_installed_here'"),
    ],
)
def test_what_is_no_entry_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, words: str
):
    monkeypatch.delitem(sys.modules, "entry_module", raising=False)
    (tmp_path / "entry_module.py").write_text(
        "VALUE = 1\ndef plain(ctx): ...\nasync def two(ctx, other): ...\n"
    )
    (tmp_path / "entry_broken.py").write_text("1 / 0\n")
    (tmp_path / "entry_needs.py").write_text("import not_installed_here\n")
    with pytest.raises(EntryInvalid, match=words):
        load_entry(entry, tmp_path)


def test_a_name_that_is_taken_is_not_mistaken_for_the_module_meant(tmp_path: Path):
    (tmp_path / "json.py").write_text("async def run(ctx): ...\n")
    with pytest.raises(EntryInvalid, match="has been imported under this name"):
        load_entry("json:run", tmp_path)
