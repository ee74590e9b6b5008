from pathlib import Path

import pytest

from toka.cvm import NOTHING_GRANTED, Authority, Machine, text_to_binary
from toka.types import NANOSECONDS


class StepClock:
    """A clock that goes on by a step at every question: deadlines pass without waiting."""

    def __init__(self, step_seconds=0.0):
        self.step = int(step_seconds * NANOSECONDS)
        self.time = 1_795_132_800 * NANOSECONDS

    def now(self):
        return self.time

    def monotonic(self):
        self.time += self.step
        return self.time

    async def sleep(self, nanoseconds):
        self.time += nanoseconds


@pytest.fixture(scope="session")
def machine():
    return Machine()


@pytest.fixture(scope="session")
def deterministic():
    return Machine(deterministic=True)


@pytest.fixture
def guest(machine):
    """Make guests from text, and close them at the end."""
    made = []

    def make(text, *permissions, on=machine, **options):
        authority = Authority.parse(*permissions) if permissions else NOTHING_GRANTED
        authority = options.pop("authority", authority)
        one = on.instantiate(on.compile(text_to_binary(text)), authority, **options)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def step_clock():
    return StepClock


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.txt").write_text("hello")
    (tmp_path / "secret.txt").write_text("secret")
    return Path(data)
