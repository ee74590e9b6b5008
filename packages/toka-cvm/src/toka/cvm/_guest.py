"""A guest: one instance of a module, called from one thread at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs

from toka.cvm._errors import CvmError, GuestBusyError, GuestEndedError, GuestExitError
from toka.cvm._files import FileTable
from toka.cvm._native import Linked, Store
from toka.cvm._session import Session, host_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Self, TypeVar

    from toka.cvm._wasmtime import Number

    Result = TypeVar("Result")


@attrs.frozen
class Outcome:
    """What a program did."""

    status: int
    """What it gave `proc_exit`; 0 where it came to its end."""
    output: bytes
    error_output: bytes
    fuel_used: int
    denied: tuple[str, ...]
    """What it wished and was not granted: the first sixteen, for whoever runs it."""


class Guest:
    """One instance. Made by `Machine.instantiate`.

    A guest that has ended is over: what a trap left half done is in its memory.
    """

    def __init__(
        self, linked: Linked, session: Session, ticker: AbstractContextManager[None]
    ) -> None:
        self._session, self._ticker = session, ticker
        self._lock = threading.Lock()
        self._ended = False
        self._fuel_used = 0
        self._store = Store(linked, session, session.limits)
        try:
            session.files = FileTable(session.authority, session.limits.open_files)
            self._run(self._start, None, None)
        except BaseException:
            self.close()
            raise

    def call(
        self,
        export: str,
        *arguments: Number,
        fuel: int | None = None,
        deadline_seconds: float | None = None,
    ) -> tuple[Number, ...]:
        """Call an exported function with numbers.

        Args:
            export: Its name.
            arguments: Integers, and floats where it takes floats.
            fuel: Of this call; as in the limits by default.
            deadline_seconds: Of this call; as in the limits by default.

        Raises:
            GuestCallError: There is no such function, or the arguments do not fit.
            GuestBusyError: The guest runs already.
            GuestEndedError: The guest is over; the class says how.
        """
        return self._run(lambda: self._store.export(export)(*arguments), fuel, deadline_seconds)

    def run(
        self,
        arguments: Sequence[str] = (),
        *,
        data: bytes = b"",
        environment: Mapping[str, str] | None = None,
        export: str = "_start",
        fuel: int | None = None,
        deadline_seconds: float | None = None,
    ) -> Outcome:
        """Run a program to its end: an export without parameters, `_start` by default.

        Args:
            arguments: What it is called with; the first is its own name.
            data: What it reads as standard input, or with `toka.input`.
            environment: What it sees as its environment; nothing of the host's by default.
            export: The function.
            fuel: Of this call; as in the limits by default.
            deadline_seconds: Of this call; as in the limits by default.

        Raises:
            GuestCallError: There is no such function, or it takes parameters.
            GuestBusyError: The guest runs already.
            GuestEndedError: The guest is over, otherwise than by `proc_exit`.
        """
        session = self._session
        session.give(arguments, data, environment or {})
        status = 0
        try:
            self.call(export, fuel=fuel, deadline_seconds=deadline_seconds)
        except GuestExitError as exited:
            status = exited.status
        output, error_output = session.take_output()
        return Outcome(status, output, error_output, self._fuel_used, tuple(session.denials))

    async def acall(
        self,
        export: str,
        *arguments: Number,
        fuel: int | None = None,
        deadline_seconds: float | None = None,
    ) -> tuple[Number, ...]:
        """Call on a worker thread. Cancelling ends the guest, within a tick.

        Raises:
            GuestCallError: There is no such function, or the arguments do not fit.
            GuestBusyError: The guest runs already.
            GuestEndedError: The guest is over; the class says how.
        """
        return await self._on_thread(
            lambda: self.call(export, *arguments, fuel=fuel, deadline_seconds=deadline_seconds)
        )

    async def arun(
        self,
        arguments: Sequence[str] = (),
        *,
        data: bytes = b"",
        environment: Mapping[str, str] | None = None,
        export: str = "_start",
        fuel: int | None = None,
        deadline_seconds: float | None = None,
    ) -> Outcome:
        """Run a program on a worker thread. Cancelling ends the guest, within a tick.

        Raises:
            GuestCallError: There is no such function, or it takes parameters.
            GuestBusyError: The guest runs already.
            GuestEndedError: The guest is over, otherwise than by `proc_exit`.
        """
        return await self._on_thread(
            lambda: self.run(
                arguments,
                data=data,
                environment=environment,
                export=export,
                fuel=fuel,
                deadline_seconds=deadline_seconds,
            )
        )

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
            self._store.close()
            if self._session.files is not None:
                self._session.files.close()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_store") and not self._store.closed:
            self.close()

    def _start(self) -> tuple[Number, ...]:
        self._store.start()
        return ()

    def _run(
        self,
        work: Callable[[], tuple[Number, ...]],
        fuel: int | None,
        seconds: float | None,
    ) -> tuple[Number, ...]:
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
        work: Callable[[], tuple[Number, ...]],
        fuel: int | None,
        seconds: float | None,
    ) -> tuple[Number, ...]:
        limits, caller = self._session.limits, self._store.caller
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
