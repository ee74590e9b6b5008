"""WASI 0.2, `wasi:cli`, `wasi:clocks` and `wasi:random`: what a program is given.

Specification: WebAssembly/wasi-cli, wasi-clocks and wasi-random, 0.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Never

import attrs

from toka.cvm._errors import GuestExitError
from toka.cvm._wasi import CLOCK, RANDOM
from toka.cvm.components._host import Interface
from toka.cvm.components._types import (
    BYTES,
    OWN,
    STRING,
    U8,
    U32,
    U64,
    list_of,
    option,
    record,
    result,
    tuple_of,
)
from toka.cvm.components._wasi_io import InputStream, OutputStream, Pollable
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.cvm._session import Session

ENVIRONMENT: Final = Interface("wasi:cli/environment@0.2")
EXIT: Final = Interface("wasi:cli/exit@0.2")
STDIN: Final = Interface("wasi:cli/stdin@0.2")
STDOUT: Final = Interface("wasi:cli/stdout@0.2")
STDERR: Final = Interface("wasi:cli/stderr@0.2")
TERMINAL_INPUT: Final = Interface("wasi:cli/terminal-input@0.2", "terminal-input")
TERMINAL_OUTPUT: Final = Interface("wasi:cli/terminal-output@0.2", "terminal-output")
TERMINALS: Final = tuple(
    [Interface(f"wasi:cli/terminal-{name}@0.2") for name in ("stdin", "stdout", "stderr")]
)
WALL_CLOCK: Final = Interface("wasi:clocks/wall-clock@0.2")
MONOTONIC_CLOCK: Final = Interface("wasi:clocks/monotonic-clock@0.2")
RANDOM_BYTES: Final = Interface("wasi:random/random@0.2")
INSECURE: Final = Interface("wasi:random/insecure@0.2")
INSECURE_SEED: Final = Interface("wasi:random/insecure-seed@0.2")

PROGRAM: Final = (
    *(ENVIRONMENT, EXIT, STDIN, STDOUT, STDERR, TERMINAL_INPUT, TERMINAL_OUTPUT, *TERMINALS),
    *(WALL_CLOCK, MONOTONIC_CLOCK, RANDOM_BYTES, INSECURE, INSECURE_SEED),
)

DATETIME: Final = record(seconds=U64, nanoseconds=U32)


# --- Arguments, ending, the three streams ---


@ENVIRONMENT.add("get-environment", returns=list_of(tuple_of(STRING, STRING)))
def get_environment(session: Session) -> list[tuple[str, str]]:
    return list(session.environment.items())


@ENVIRONMENT.add("get-arguments", returns=list_of(STRING))
def get_arguments(session: Session) -> list[str]:
    return [one.decode() for one in session.arguments]


@ENVIRONMENT.add("initial-cwd", returns=option(STRING))
def initial_cwd(_session: Session) -> None:
    """Say that there is none: paths are relative to directories that are given."""


@EXIT.add("exit", result())
def exit(_session: Session, status: tuple[str, None]) -> Never:  # noqa: A001 - the guest's name
    raise _exited(0 if status[0] == "ok" else 1)


@EXIT.add("exit-with-code", U8)
def exit_with_code(_session: Session, status: int) -> Never:
    raise _exited(status)


def _exited(status: int) -> GuestExitError:
    return GuestExitError(
        f"The guest ended itself with status {status}.", details={"status": status}
    )


class _Input:
    def read(self, session: Session, size: int, /) -> bytes:
        return session.take_input(size)


@attrs.frozen
class _Output:
    is_error: bool

    def write(self, session: Session, data: bytes, /) -> None:
        session.emit(session.error_output if self.is_error else session.output, data)


@STDIN.add("get-stdin", returns=OWN)
def get_stdin(_session: Session) -> InputStream:
    return InputStream(_Input())


@STDOUT.add("get-stdout", returns=OWN)
def get_stdout(_session: Session) -> OutputStream:
    return OutputStream(_Output(is_error=False))


@STDERR.add("get-stderr", returns=OWN)
def get_stderr(_session: Session) -> OutputStream:
    return OutputStream(_Output(is_error=True))


def _no_terminal(_session: Session) -> None:
    """Say that it is none."""


for _interface in TERMINALS:
    _name = _interface.name.removeprefix("wasi:cli/").removesuffix("@0.2")
    _interface.add(f"get-{_name}", returns=option(OWN))(_no_terminal)


# --- Time ---


def _datetime(nanoseconds: int) -> dict[str, int]:
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return {"seconds": seconds, "nanoseconds": rest}


@WALL_CLOCK.add("now", returns=DATETIME, grant=CLOCK)
def wall_now(session: Session) -> dict[str, int]:
    return _datetime(session.now())


@WALL_CLOCK.add("resolution", returns=DATETIME, grant=CLOCK)
def wall_resolution(_session: Session) -> dict[str, int]:
    return _datetime(1)


@MONOTONIC_CLOCK.add("now", returns=U64, grant=CLOCK)
def monotonic_now(session: Session) -> int:
    return session.now(monotonic=True)


@MONOTONIC_CLOCK.add("resolution", returns=U64, grant=CLOCK)
def monotonic_resolution(_session: Session) -> int:
    return 1


@MONOTONIC_CLOCK.add("subscribe-instant", U64, returns=OWN, grant=CLOCK)
def subscribe_instant(_session: Session, instant: int) -> Pollable:
    return Pollable(instant)


@MONOTONIC_CLOCK.add("subscribe-duration", U64, returns=OWN, grant=CLOCK)
def subscribe_duration(session: Session, duration: int) -> Pollable:
    return Pollable(session.now(monotonic=True) + duration)


# --- Randomness: one source for all three, because the good one is no dearer ---


def _random(session: Session, size: int) -> bytes:
    session.move(size)  # Before they are made.
    return session.random(size)


def _random_integer(session: Session) -> int:
    return int.from_bytes(session.random(8), "little")


RANDOM_BYTES.add("get-random-bytes", U64, returns=BYTES, grant=RANDOM)(_random)
RANDOM_BYTES.add("get-random-u64", returns=U64, grant=RANDOM)(_random_integer)
INSECURE.add("get-insecure-random-bytes", U64, returns=BYTES, grant=RANDOM)(_random)
INSECURE.add("get-insecure-random-u64", returns=U64, grant=RANDOM)(_random_integer)


@INSECURE_SEED.add("insecure-seed", returns=tuple_of(U64, U64), grant=RANDOM)
def insecure_seed(session: Session) -> tuple[int, int]:
    return _random_integer(session), _random_integer(session)
