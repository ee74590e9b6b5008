"""The picture that every read is served from: the log, folded by one task as it grows.

Runs that have not ended are in memory, and the newest of those that have; the others are in an
archive on disk, so that memory does not grow with the number of runs.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

import anyio
import anyio.to_thread

from toka.orchestration import Runs
from toka.orchestration_service._archive import Archive
from toka.orchestration_service._errors import Starting
from toka.orchestration_service._render import render_run
from toka.orchestration_service._totals import Totals
from toka.store.core import StoreError
from toka.types import EntityId, root_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from toka.orchestration import RunView
    from toka.orchestration_service._shapes import Run
    from toka.runtime import Logged, Runtime
    from toka.types import AgentId

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 5.0
"""How long a read waits for the projection to reach what is committed."""
NOBODY: Final = 1 << 63
"""Beyond every position."""
ENDED_KEPT: Final = 1_000
"""Ended runs that stay in memory, the newest."""
ARCHIVED_AT_ONCE: Final = 200
LONG: Final = 100_000
"""Events after which some are moved to disk in any case, so that the next start reads no more."""
CLOSING_SECONDS: Final = 2.0
FOUND_KEPT: Final = 32
"""Runs of the archive that somebody has looked at."""


class Projection:
    """Follows a runtime's log.

    Attributes:
        runs: What the log amounts to, up to `runs.position`, without the runs in the archive.
    """

    def __init__(self, runtime: Runtime, archive: Path) -> None:
        self.runs = Runs()
        self._runtime = runtime
        self._path = archive
        self._archive: Archive | None = None
        self._ended: OrderedDict[EntityId, None] = OrderedDict()
        self._found: OrderedDict[str, RunView] = OrderedDict()
        self._put_away_at = 0
        self._lock = anyio.Lock()
        self._moved = anyio.Event()
        self._wanted = NOBODY
        """The first position that somebody waits for."""

    async def follow(self) -> None:
        """Fold the log until the runtime is closed.

        Raises:
            StoreError: The log cannot be read.
        """
        archive = await self._open()
        try:
            async with events_after(self._runtime, self.runs.position) as events:
                async for logged in events:
                    self._take(logged)
                    if self._is_time():
                        await self._put_away()
        finally:
            if archive is not None:
                with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                    await self._put_all_away()
                archive.close()

    def _is_time(self) -> bool:
        many = len(self._ended) >= ENDED_KEPT + ARCHIVED_AT_ONCE
        is_long = self.runs.position >= self._put_away_at + LONG
        return many or (is_long and bool(self._ended))

    async def _put_all_away(self) -> None:
        """Spare the next start what was read: it begins with the oldest run that goes on."""
        try:
            while self._ended:
                await self._put_away()
        except StoreError as error:
            logger.warning("The next start reads more of the log than it would: %s", error)

    def _take(self, logged: Logged) -> None:
        view = self.runs.apply(logged)
        if view is not None and view.ended:
            self._ended.setdefault(root_of(view.run))
        if logged.position >= self._wanted:
            self._tell()

    def _tell(self) -> None:
        self._wanted = NOBODY
        self._moved.set()
        self._moved = anyio.Event()

    async def _open(self) -> Archive | None:
        """Open the archive, if it is one of this log."""
        try:
            archive = Archive(self._path)
            if archive.position:
                page = await self._runtime.store.read_page(archive.position - 1, 1)
                if not page or page[0].digest != archive.digest:
                    archive.clear()
            self.runs.ignored = archive.behind()
        except (sqlite3.Error, OSError) as error:
            # Memory has every run then, as it would without an archive.
            logger.warning("Ended runs stay in memory, %s cannot be used: %s", self._path, error)
            return None
        self.runs.position = archive.position
        self._archive = archive
        return archive

    async def _put_away(self) -> None:
        """Move the oldest of the ended runs to disk."""
        self._put_away_at = self.runs.position
        oldest = [run for run, _ in zip(self._ended, range(ARCHIVED_AT_ONCE), strict=False)]
        for run in oldest:
            del self._ended[run]
        if self._archive is None:
            return
        leaving = [self.runs.by_id[run] for run in oldest]
        staying = (view.first for run, view in self.runs.by_id.items() if run not in set(oldest))
        position = min(staying, default=self.runs.position + 1) - 1
        page = await self._runtime.store.read_page(position - 1, 1) if position else []
        shown = [(view, render_run(view, executing=False)) for view in leaving]
        digest = page[0].digest if page else b""
        try:
            async with self._lock:
                keep = self._archive.keep
                kept = await anyio.to_thread.run_sync(keep, shown, position, digest)
        except sqlite3.Error as error:
            logger.warning("Ended runs stay in memory, %s cannot be written: %s", self._path, error)
            return
        self._archive.settle(kept)
        for run in oldest:
            del self.runs.by_id[run]

    async def current(self) -> Runs:
        """Return the runs in memory with all that is committed now: a caller sees its writes.

        Raises:
            Starting: The log is longer than could be read so far.
        """
        wanted = self._runtime.position
        if self.runs.position >= wanted:
            return self.runs
        with anyio.move_on_after(PATIENCE_SECONDS):
            while self.runs.position < wanted:
                # All who wait wait for one event: whoever replaced it would strand the others.
                self._wanted = min(self._wanted, wanted)
                await self._moved.wait()
        if self.runs.position < wanted:
            raise Starting(
                f"The service has read the log up to {self.runs.position} of {wanted}.",
                hint="Ask again shortly.",
            )
        return self.runs

    async def find(self, run: AgentId | EntityId | str) -> RunView | None:
        """Return a run, from memory or from disk.

        Raises:
            Starting: The log is longer than could be read so far.
        """
        view = (await self.current()).by_id.get(EntityId(run)) or self._found.get(run)
        if view is None and self._archive is not None:
            async with self._lock:
                view = await anyio.to_thread.run_sync(self._archive.find, str(run))
            if view is not None:
                self._found[run] = view
                if len(self._found) > FOUND_KEPT:
                    self._found.popitem(last=False)
        return view

    async def archived(
        self, after: str, limit: int, states: tuple[str, ...], text: str, *, newest_first: bool
    ) -> list[Run]:
        """Return a page of the runs that are in memory no more, see `Archive.page`."""
        archive = self._archive
        if archive is None or not archive.newest:
            return []

        def page() -> list[Run]:
            return archive.page(after, limit, states, text, newest_first=newest_first)

        async with self._lock:
            return await anyio.to_thread.run_sync(page)

    @property
    def newest_archived(self) -> str:
        """The newest run that is in memory no more; empty if there is none."""
        return "" if self._archive is None else self._archive.newest

    def totals(self) -> Totals:
        """Return sums over all runs."""
        totals = Totals() if self._archive is None else self._archive.totals.copy()
        for view in self.runs.by_id.values():
            totals.add(view)
        return totals


@asynccontextmanager
async def events_after(runtime: Runtime, position: int) -> AsyncGenerator[AsyncGenerator[Logged]]:
    """Subscribe to what follows a position, and end the subscription on leaving."""
    # It is a generator, whatever the annotation says: left alone, it would be ended by the garbage
    # collector, at any time and in any task.
    events = cast("AsyncGenerator[Logged]", runtime.subscribe(position))
    try:
        yield events
    finally:
        await events.aclose()
