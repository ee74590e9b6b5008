"""The transcripts of etcd's Raft library, run line for line; only log lines are dropped.

They lie beside the project, not in it: `../shared/data/raft-scenarios` from its root, or wherever
`RAFT_SCENARIOS` points. Any other file of the kind may be put there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .datadriven.interaction import Group
from .datadriven.tables import ConfigurationChanges, Quorum
from .datadriven.transcripts import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from .datadriven.transcripts import Command

_PROJECT = Path(__file__).parents[3]
_FOLDER = Path(
    os.environ.get("RAFT_SCENARIOS", _PROJECT.parent / "shared" / "data" / "raft-scenarios")
)
_HANDLERS: dict[str, Callable[[], Callable[[Command], str]]] = {
    "quorum": lambda: Quorum().handle,
    "confchange": lambda: ConfigurationChanges().handle,
    "interaction": lambda: Group().handle,
}


def _files() -> list[str]:
    return [
        f"{kind}/{path.name}"
        for kind in _HANDLERS
        for path in sorted((_FOLDER / kind).glob("*.txt"))
    ]


def test_the_transcripts_are_there() -> None:
    if not _files():
        pytest.skip("the conformance transcripts are not beside this project")


@pytest.mark.parametrize("name", _files())
def test_transcript(name: str) -> None:
    kind, _, _ = name.partition("/")
    mismatches = run(_FOLDER / name, _HANDLERS[kind]())
    assert not mismatches, "\n\n".join(mismatches)
