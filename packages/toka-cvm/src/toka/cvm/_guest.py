"""A guest: one instance of a module, called from one thread at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.cvm._errors import GuestExitError
from toka.cvm._guest_life import GuestLife
from toka.cvm._native import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from toka.cvm._native import Linked
    from toka.cvm._session import Session
    from toka.cvm._wasmtime import Number


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


class Guest(GuestLife):
    """One instance. Made by `Machine.instantiate`.

    A guest that has ended is over: what a trap left half done is in its memory.
    """

    def __init__(
        self, linked: Linked, session: Session, ticker: AbstractContextManager[None]
    ) -> None:
        self._store = Store(linked, session, session.limits)
        super().__init__(self._store, session, ticker)

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
