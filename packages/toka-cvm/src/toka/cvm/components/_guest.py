"""A guest that is a component: its exports take and give Python values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.cvm._errors import GuestCallError, GuestExitError
from toka.cvm._guest import Outcome
from toka.cvm._guest_life import GuestLife
from toka.cvm.components._native import ComponentStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from toka.cvm._session import Session
    from toka.cvm.components._native import LinkedComponent

_RUN: Final = "wasi:cli/run@"


class ComponentGuest(GuestLife):
    """One instance. Made by `Machine.instantiate_component`.

    A guest that has ended is over: what a trap left half done is in its memory.
    """

    def __init__(
        self, linked: LinkedComponent, session: Session, ticker: AbstractContextManager[None]
    ) -> None:
        self._store = ComponentStore(linked, session, session.limits)
        self._exports = linked.exports
        super().__init__(self._store, session, ticker)

    def call(
        self,
        export: str,
        *arguments: object,
        fuel: int | None = None,
        deadline_seconds: float | None = None,
    ) -> object:
        """Call an exported function with values.

        Args:
            export: Its name; of a function in an exported instance, `INSTANCE#NAME`.
            arguments: Numbers, `str`, `bytes` for list<u8>, `list`, `tuple`, `dict` for records,
                `(case, value)` for variants and results, `frozenset` for flags, None for no option.
            fuel: Of this call; as in the limits by default.
            deadline_seconds: Of this call; as in the limits by default.

        Raises:
            GuestCallError: There is no such function, or the arguments do not fit.
            GuestBusyError: The guest runs already.
            GuestEndedError: The guest is over; the class says how.
        """
        return self._run(lambda: self._store.call(export, arguments), fuel, deadline_seconds)

    def run(
        self,
        arguments: Sequence[str] = (),
        *,
        data: bytes = b"",
        environment: Mapping[str, str] | None = None,
        export: str | None = None,
        fuel: int | None = None,
        deadline_seconds: float | None = None,
    ) -> Outcome:
        """Run a program to its end: `run` of `wasi:cli/run`, or another without parameters.

        Args:
            arguments: What it is called with; the first is its own name.
            data: What it reads as standard input.
            environment: What it sees as its environment; nothing of the host's by default.
            export: The function.
            fuel: Of this call; as in the limits by default.
            deadline_seconds: Of this call; as in the limits by default.

        Raises:
            GuestCallError: There is no such function, or it takes parameters.
            GuestBusyError: The guest runs already.
            GuestEndedError: The guest is over, otherwise than by `exit`.
        """
        session = self._session
        session.give(arguments, data, environment or {})
        status = 0
        try:
            value = self.call(
                export or self._program(), fuel=fuel, deadline_seconds=deadline_seconds
            )
            status = int(isinstance(value, tuple) and value[:1] == ("err",))
        except GuestExitError as exited:
            status = exited.status
        output, error_output = session.take_output()
        return Outcome(status, output, error_output, self._fuel_used, tuple(session.denials))

    async def acall(
        self,
        export: str,
        *arguments: object,
        fuel: int | None = None,
        deadline_seconds: float | None = None,
    ) -> object:
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
        export: str | None = None,
        fuel: int | None = None,
        deadline_seconds: float | None = None,
    ) -> Outcome:
        """Run a program on a worker thread. Cancelling ends the guest, within a tick.

        Raises:
            GuestCallError: There is no such function, or it takes parameters.
            GuestBusyError: The guest runs already.
            GuestEndedError: The guest is over, otherwise than by `exit`.
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

    def _program(self) -> str:
        for name in self._exports:
            if name.startswith(_RUN) and name.endswith("#run"):
                return name
        raise GuestCallError("The component is no program: it exports no wasi:cli/run.")
