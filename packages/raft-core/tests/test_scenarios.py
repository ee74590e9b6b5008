"""Our own scenarios, in the text format of the transcripts; read them as documentation.

With `RAFT_CORE_REWRITE=1` in the environment, what the nodes do now is written into the files
instead of being compared: look through the difference before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .datadriven.interaction import Group
from .datadriven.transcripts import run

_FOLDER = Path(__file__).parent / "scenarios"
_NAMES = sorted(path.name for path in _FOLDER.glob("*.txt"))


@pytest.mark.parametrize("name", _NAMES)
def test_scenario(name: str) -> None:
    rewrite = os.environ.get("RAFT_CORE_REWRITE") == "1"
    mismatches = run(_FOLDER / name, Group().handle, rewrite=rewrite)
    assert not mismatches, "\n\n".join(mismatches)


def test_a_difference_is_found(tmp_path: Path) -> None:
    original = (_FOLDER / _NAMES[0]).read_text(encoding="utf-8")
    changed = tmp_path / "changed.txt"
    changed.write_text(original.replace("Term:1", "Term:7", 1), encoding="utf-8")
    assert run(changed, Group().handle)


def test_a_rewritten_file_matches(tmp_path: Path) -> None:
    original = (_FOLDER / _NAMES[0]).read_text(encoding="utf-8")
    emptied = tmp_path / "emptied.txt"
    emptied.write_text(original.replace("Term:1", "Term:7"), encoding="utf-8")
    run(emptied, Group().handle, rewrite=True)
    assert emptied.read_text(encoding="utf-8") == original
