"""One guest's run as its host calls see it: what it may, has used, was given and said.

Every host call passes `host_call`: it counts, charges, and asks the authority again before the
host function begins. Whatever a host function raises ends the guest.
"""

from __future__ import annotations

import threading
import time
from hashlib import shake_256
from typing import TYPE_CHECKING, Final

from toka.cvm._errors import (
    AuthorityLostError,
    CancelledError,
    DeadlineError,
    HostFaultError,
    QuotaError,
)
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toka.cvm._authority import Authority
    from toka.cvm._caller import Caller
    from toka.cvm._files import FileTable
    from toka.cvm._limits import Limits
    from toka.cvm._services import Services

MAX_DENIALS: Final = 16
_POLL_SECONDS: Final = 0.02
_FIRST_INSTANT: Final = 1_700_000_000 * NANOSECONDS
_INSTANT: Final = 1_000_000


class Session:
    """The host's side of one guest."""

    def __init__(
        self,
        bodies: Sequence[Callable[..., int | None]],
        authority: Authority,
        services: Services,
        limits: Limits,
        seed: bytes | None,
    ) -> None:
        self.bodies = bodies
        self.authority, self.services, self.limits = authority, services, limits
        self.ending: BaseException | None = None
        self.files: FileTable | None = None
        self.arguments: tuple[bytes, ...] = ()
        self.environment: Mapping[str, str] = {}
        self.input = b""
        self.input_position = 0
        self.output = bytearray()
        self.error_output = bytearray()
        self.reply = b""
        self.denials: list[str] = []
        self.host_calls = 0
        self._output_left = limits.output_bytes
        self._io_left = limits.io_bytes
        self._cancelled = False  # an Event costs a tenth of making a guest
        self._deadline = 0
        self._seed = seed
        self._drawn = 0
        self._instants = 0
        self._caller: Caller | None = None

    # --- What ends a guest ---

    def begin(self, seconds: float) -> None:
        """Start the time of a call."""
        self.ending = None
        self._deadline = self.services.clock.monotonic() + int(seconds * NANOSECONDS)

    def cancel(self) -> None:
        """End the call that runs, from another thread; or the next one."""
        self._cancelled = True

    def tick(self) -> None:
        """Raise when the guest has to end now.

        Raises:
            CancelledError: Somebody gave it up.
            DeadlineError: Its time is over.
        """
        if self._cancelled:
            raise CancelledError("The call was given up.")
        if self.services.clock.monotonic() >= self._deadline:
            raise DeadlineError("The call took longer than it may.", hint="Give it more time.")

    def left_seconds(self) -> float:
        """Return the time that is left, at least 0."""
        return max(self._deadline - self.services.clock.monotonic(), 0) / NANOSECONDS

    def host_call(self, number: int, arguments: list[int], caller: Caller) -> int | None:
        """Count, charge, ask the authority, and do it."""
        self.admit(caller)
        return self.bodies[number](self, *arguments)

    def admit(self, caller: Caller) -> None:
        """Count and charge a host call, and ask the authority whether it may happen.

        Raises:
            GuestEndedError: It may not.
        """
        self._caller = caller
        self.tick()
        self.host_calls += 1
        if self.host_calls > self.limits.host_calls:
            raise QuotaError(f"The guest made over {self.limits.host_calls} host calls.")
        caller.spend(self.limits.host_call_fuel)
        denial = self.authority.lost()
        if denial is not None:
            raise AuthorityLostError(
                f"The guest's capability no longer holds: {denial.rule or denial.code}.",
                details={"code": denial.code},
            )

    # --- Memory, charged ---

    @property
    def caller(self) -> Caller:
        """The guest's memory and fuel, inside a host call."""
        if self._caller is None:
            raise RuntimeError("There is no host call.")
        return self._caller

    def read(self, pointer: int, size: int) -> bytes:
        """Copy bytes out of the guest.

        Raises:
            QuotaError: More than a host call, or all of them, may move.
            GuestTrapError: They are not there.
        """
        self.move(size)
        return self.caller.read(pointer, size)

    def write(self, pointer: int, data: bytes) -> None:
        """Copy bytes into the guest.

        Raises:
            QuotaError: More than a host call, or all of them, may move.
            GuestTrapError: There is no room.
        """
        self.move(len(data))
        self.caller.write(pointer, data)

    def write_integer(self, pointer: int, value: int, size: int = 4) -> None:
        """Write a little-endian integer."""
        self.write(pointer, value.to_bytes(size, "little"))

    def move(self, size: int, caller: Caller | None = None) -> None:
        """Account for bytes before they are moved.

        Args:
            size: How many.
            caller: Who pays, where that is not whoever makes a host call.

        Raises:
            QuotaError: It is more than one host call, or all of them, may move.
            OutOfFuelError: They cost more than there is.
        """
        if size > self.limits.transfer_bytes:
            raise QuotaError(f"A host call moves over {self.limits.transfer_bytes} bytes.")
        self._io_left -= size
        if self._io_left < 0:
            raise QuotaError(f"The guest moved over {self.limits.io_bytes} bytes.")
        (caller or self.caller).spend(size)

    def emit(self, stream: bytearray | None, data: bytes) -> None:
        """Take output; None is the log, which is kept elsewhere.

        Raises:
            QuotaError: It is over what the guest may write.
        """
        self._output_left -= len(data)
        if self._output_left < 0:
            raise QuotaError(f"The guest wrote over {self.limits.output_bytes} bytes of output.")
        if stream is not None:
            stream += data

    def give(self, arguments: Sequence[str], data: bytes, environment: Mapping[str, str]) -> None:
        """Set what a program finds when it starts."""
        self.arguments = tuple([one.encode() for one in arguments])
        self.environment = dict(environment)
        self.input, self.input_position = data, 0

    def take_output(self) -> tuple[bytes, bytes]:
        """Return and forget standard output and standard error."""
        taken = bytes(self.output), bytes(self.error_output)
        self.output.clear()
        self.error_output.clear()
        return taken

    def take_input(self, size: int) -> bytes:
        """Return the next bytes of the input, none at its end."""
        data = self.input[self.input_position : self.input_position + size]
        self.input_position += len(data)
        return data

    # --- Permissions ---

    def allows(self, domain: str, action: str, resource: str) -> bool:
        """Ask the authority, and remember a no for whoever runs the guest."""
        allowed = self.authority.allows(domain, action, resource)
        if not allowed:
            self.deny(f"{domain}:{action}:{resource}")
        return allowed

    def deny(self, wish: str) -> None:
        """Remember what was not granted."""
        if len(self.denials) < MAX_DENIALS and wish not in self.denials:
            self.denials.append(wish[:512])

    # --- Time and randomness ---

    def now(self, *, monotonic: bool = False) -> int:
        """Return the time: of the clock, or of the count of questions where it has a seed."""
        if self._seed is None:
            clock = self.services.clock
            return clock.monotonic() if monotonic else clock.now()
        self._instants += 1
        return self._instants * _INSTANT + (0 if monotonic else _FIRST_INSTANT)

    def random(self, size: int) -> bytes:
        """Return random bytes: of the host, or of the seed."""
        if self._seed is None:
            return self.services.random(size)
        self._drawn += 1
        return shake_256(self._seed + self._drawn.to_bytes(8, "little")).digest(size)

    @property
    def deterministic(self) -> bool:
        """Whether it has a seed."""
        return self._seed is not None

    # --- Waiting ---

    def sleep(self, nanoseconds: int) -> None:
        """Wait, at most to the deadline.

        Raises:
            DeadlineError: It would have to wait longer.
            CancelledError: Somebody gave it up meanwhile.
        """
        if self._seed is not None:
            self._instants += -(-nanoseconds // _INSTANT)
            return
        until = self.services.clock.monotonic() + nanoseconds
        while (left := until - self.services.clock.monotonic()) > 0:
            time.sleep(min(left / NANOSECONDS, self.left_seconds(), _POLL_SECONDS))
            self.tick()

    def outside(self, work: Callable[[], object]) -> None:
        """Do what may block on a thread of its own, and do not wait beyond the deadline.

        The thread of a service that ignores its time limit is left behind; its result goes
        nowhere.

        Raises:
            DeadlineError: The time was over first.
            CancelledError: Somebody gave it up first.
        """
        failures: list[BaseException] = []

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
                failures.append(error)

        thread = threading.Thread(target=run, name="toka-cvm-service", daemon=True)
        thread.start()
        while True:
            thread.join(_POLL_SECONDS)
            if not thread.is_alive():
                break
            self.tick()
        if failures:
            raise failures[0]


def host_fault(error: Exception) -> HostFaultError:
    """Wrap what a service raised, so that a guest cannot choose what its caller catches."""
    return HostFaultError(f"A service of the host failed: {type(error).__name__}.")
