import pickle

import anyio

from toka.types import InvalidValueError, SystemClock, TokaError


def test_an_error_says_what_happened_and_what_to_do() -> None:
    error = TokaError("The file is gone.", hint="Make a new one.", details={"path": "x"})
    assert str(error) == "The file is gone. Make a new one."
    assert error.code == "toka.error"
    assert error.details == {"path": "x"}


def test_a_code_may_be_given_by_a_foreign_source() -> None:
    assert TokaError("x", code="kernel.capability_denied").code == "kernel.capability_denied"


def test_an_error_survives_pickling() -> None:
    error = InvalidValueError("Too long.", hint="Cut it.", details={"size": 5})
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is InvalidValueError
    assert (str(copy), copy.code, copy.details) == (str(error), error.code, error.details)


def test_an_invalid_value_is_a_value_error() -> None:
    assert issubclass(InvalidValueError, ValueError)


def test_the_system_clock_sleeps_and_does_not_go_backwards() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    anyio.run(clock.sleep, 1_000_000)
    assert clock.monotonic() - before >= 1_000_000
    assert clock.now() > 1_700_000_000 * 10**9
