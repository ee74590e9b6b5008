"""The one that writes: batches of drafted appends, and jobs with a batch of their own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from toka.store.core.backend import GroupWriter, repetition
from toka.store.sled._draft import Draft
from toka.store.sled._engine import EngineError
from toka.store.sled._failures import translate
from toka.store.sled._reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.store.core import Receipt, StoreError
    from toka.store.core.backend import Append, HeadFile, Job, Progress, WriterLock
    from toka.store.sled._engine import Batch, Engine

logger = logging.getLogger(__name__)


@attrs.frozen
class Change:
    """What a job works with."""

    reader: Reader
    """Sees what is committed."""
    batch: Batch
    """Is written when the job has returned."""


class Writer(GroupWriter[Change]):
    """The only one who writes to the engine; belongs to one thread."""

    def __init__(
        self,
        engine: Engine,
        head_file: HeadFile,
        lock: WriterLock,
        location: str,
        report: Callable[[Progress], None],
    ) -> None:
        """Take over an engine, which is closed with the writer; the rest as in `GroupWriter`."""
        self.engine = engine
        self._state = Draft(engine, location)
        super().__init__(self._state, head_file, lock, location, report)

    def _repeated(self, append: Append) -> Receipt | None:
        view = self.engine.view()
        try:
            return repetition(Reader(view, self._location), append)
        finally:
            view.close()

    def _perform(self, job: Job[Change]) -> object:
        view = self.engine.view()
        batch = self.engine.batch()
        try:
            result = job.action(Change(Reader(view, self._location), batch))
        finally:
            view.close()
        self.engine.write(batch)
        self._state.look_again()
        return result

    def _translate(self, error: Exception) -> StoreError | None:
        return translate(self._location, "Writing", error)

    def _close_engine(self) -> None:
        self._state.look_again()
        try:
            self.engine.close()
        except EngineError:
            if self._failure is None:
                raise
            logger.warning("%s: closing failed, as writing did before", self._location)
