"""What every guest has in common: it runs on one thread at a time, bounded, until it is over."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread

from toka.cvm._errors import CvmError, GuestBusyError, GuestEndedError
from toka.cvm._files import FileTable
from toka.cvm._session import Session, host_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Self, TypeVar

    from toka.cvm._native import AnyStore

    Result = TypeVar("Result")


class GuestLife:
    """One instance, from its making to its end.

    A guest that has ended is over: what a trap left half done is in its memory.
    """

    def __init__(
        self, store: AnyStore, session: Session, ticker: AbstractContextManager[None]
    ) -> None:
        self._session, self._ticker = session, ticker
        self._lock = threading.Lock()
        self._ended = False
        self._fuel_used = 0
        self._any_store = store
        try:
            session.files = FileTable(session.authority, session.limits.open_files)
            self._run(store.start, None, None)
        except BaseException:
            self.close()
            raise

    def cancel(self) -> None:
        """End what runs, from another thread. A guest that is cancelled is over."""
        self._session.cancel()

    def take_output(self) -> tuple[bytes, bytes]:
        """Return and forget standard output and standard error, also of a guest that ended."""
        return self._session.take_output()

    @property
    def fuel_used(self) -> int:
        """What the last call used, or making the guest."""
        return self._fuel_used

    @property
    def ended(self) -> bool:
        """Whether the guest is over."""
        return self._ended

    @property
    def denied(self) -> tuple[str, ...]:
        """What it wished and was not granted, the first sixteen."""
        return tuple(self._session.denials)

    def close(self) -> None:
        """Give back its memory and its files. Idempotent.

        Raises:
            GuestBusyError: It runs.
        """
        if not self._lock.acquire(blocking=False):
            raise GuestBusyError("The guest runs; cancel it first.")
        try:
            self._ended = True
            self._any_store.close()
            if self._session.files is not None:
                self._session.files.close()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_any_store") and not self._any_store.closed:
            self.close()

    def _run(
        self,
        work: Callable[[], Result],
        fuel: int | None,
        seconds: float | None,
    ) -> Result:
        # Not a wait: a host call that calls its own guest back would wait for itself.
        if not self._lock.acquire(blocking=False):
            raise GuestBusyError(
                "The guest runs already; one call at a time, and none from inside."
            )
        try:
            if self._ended:
                raise GuestEndedError("The guest is over.", hint="Make a new one.")
            return self._bounded(work, fuel, seconds)
        finally:
            self._lock.release()

    def _bounded(
        self,
        work: Callable[[], Result],
        fuel: int | None,
        seconds: float | None,
    ) -> Result:
        limits, caller = self._session.limits, self._any_store.caller
        fuel = limits.fuel if fuel is None else fuel
        self._session.begin(limits.deadline_seconds if seconds is None else seconds)
        caller.refuel(fuel)
        try:
            with self._ticker:
                return work()
        except GuestEndedError:
            self._ended = True
            raise
        except Exception as error:
            if self._session.ending is None:
                raise
            self._ended = True
            raise host_fault(error) from error
        except BaseException:
            self._ended = True
            raise
        finally:
            self._fuel_used = fuel - caller.fuel()

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        results: list[Result] = []
        failures: list[CvmError] = []
        finished = False

        async def watch() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                if not finished:
                    self.cancel()

        # Caught inside, because a task group would wrap it.
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            try:
                results.append(await anyio.to_thread.run_sync(work))
            except CvmError as error:
                failures.append(error)
            finished = True
            group.cancel_scope.cancel()
        if failures:
            # Where the task was cancelled, that is what the caller has to see.
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise failures[0]
        return results[0]
