"""Reading a store without its lock: a private copy of what cannot be shared.

Neither engine lets a second process open its files and leave them as they are. But their sorted
files never change once written, so a reader has links to those, and copies of the short log and of
the list of files. What is copied while a writer goes on may not fit together; then the copy falls
short of the head that was recorded before it was begun, or lacks a file, and is made again.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toka.store.core import Damaged
from toka.store.core.backend import read_head
from toka.store.sled._engine import EngineError, open_engine
from toka.store.sled._inspection import inspect

if TYPE_CHECKING:
    from toka.store.core.backend import Recorded
    from toka.store.sled._engine import Engine, EngineName, View
    from toka.store.sled._folder import Folder

_TRIES: Final = 20

FIXED: Final = (".ldb", ".sst", ".blob")
"""How the names of files end that are written once."""

_LEFT_OUT: Final = ("LOCK", "LOG")

_State = tuple["Recorded | None", frozenset[str]]


class Replica:
    """A copy that is made anew whenever the store has changed; belongs to one thread."""

    def __init__(self, folder: Folder, name: EngineName, *, paranoid: bool = True) -> None:
        """Make the first copy.

        Args:
            folder: Of the store.
            name: Of its engine.
            paranoid: As in `open_engine`.

        Raises:
            Damaged: The store is not as it was written.
            EngineError: Input failed.
            OSError: Input or output failed.
        """
        self._folder = folder
        self._name: EngineName = name
        self._paranoid = paranoid
        self._engine: Engine | None = None
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._seen: Recorded | None = None
        self._renew()

    def view(self) -> View:
        """Return the contents as they are now.

        Raises:
            Damaged: The store is not as it was written.
            EngineError: Input failed.
            OSError: Input or output failed.
        """
        if self._engine is None or read_head(self._folder.head) != self._seen:
            self._renew()
        assert self._engine is not None  # noqa: S101 - `_renew` made it
        return self._engine.view()

    def changed(self) -> bool:
        """Say whether the store was written to since the copy was made."""
        return self._state() != self._copied

    def forget(self) -> None:
        """Have the next view made from a new copy."""
        self._seen = None
        self.close()

    def _state(self) -> _State:
        names = {each.name for each in self._folder.data(self._name).iterdir()}
        return read_head(self._folder.head), frozenset(names)

    def _renew(self) -> None:
        for left in reversed(range(_TRIES)):
            self.close()
            self._copied = self._state()
            recorded = self._copied[0]
            try:
                self._copy()
                inspect(self._open(), self._folder.location(self._name), recorded)
            except (Damaged, EngineError, FileNotFoundError):
                self.close()
                if not left or not self.changed():
                    raise
                continue  # the store changed while it was copied
            self._seen = recorded
            return

    def _open(self) -> Engine:
        assert self._place is not None  # noqa: S101 - `_copy` made it
        self._engine = open_engine(
            self._name, Path(self._place.name), create=False, sync=False, paranoid=self._paranoid
        )
        return self._engine

    def _copy(self) -> None:
        source = self._folder.data(self._name).absolute()
        self._place = tempfile.TemporaryDirectory(prefix="toka-sled-", ignore_cleanup_errors=True)
        target = Path(self._place.name)
        names = sorted(each.name for each in source.iterdir())
        # The list of files first: whatever it names is there by now.
        names.sort(key=lambda name: not name.startswith(("CURRENT", "MANIFEST")))
        for name in names:
            if name.endswith(FIXED):
                (target / name).symlink_to(source / name)
            elif not name.startswith(_LEFT_OUT):
                shutil.copyfile(source / name, target / name)

    def close(self) -> None:
        """Remove the copy."""
        engine, self._engine = self._engine, None
        place, self._place = self._place, None
        try:
            if engine is not None:
                engine.close()
        finally:
            if place is not None:
                place.cleanup()
