"""What the runtime tells of who asked, with a stand-in for whoever follows it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from toka.runtime import NO_TRACING, Logged, Runtime, from_store, open_runtime
from toka.types import Message, SpawnAgent

pytestmark = pytest.mark.anyio

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Told:
    """Is in one trace, or in none."""

    def __init__(self) -> None:
        self.current = ""

    @contextmanager
    def span(self, *_: object, **_named: object) -> Iterator["Told"]:
        yield self

    def annotate(self, attributes) -> None:
        pass

    def environment(self):
        return {}


async def _first(runtime: Runtime, after: int) -> Logged:
    (stored,) = await runtime.store.read_page(after, 1)
    return from_store(stored)


async def test_the_trace_of_who_asks_is_in_the_log_and_comes_out_of_it(desk, store) -> None:
    told = Told()
    async with open_runtime(store, desk.authenticator, desk.token(), tracing=told) as runtime:
        token = desk.token()
        untold = await runtime.submit(Message(token, SpawnAgent(None, "before")))
        told.current = PARENT
        receipt = await runtime.submit(Message(token, SpawnAgent(None, "worker"), "key"))
        told.current = ""
        again = await runtime.submit(Message(token, SpawnAgent(None, "worker"), "key"))
        read = await _first(runtime, receipt.position - 1)
        before = await _first(runtime, untold.position - 1)

    assert again == receipt
    assert read == Logged(receipt.position, receipt.events[-1], PARENT)
    assert before.trace == ""


async def test_whoever_follows_the_log_live_is_told_the_trace(desk, store) -> None:
    told = Told()
    async with open_runtime(store, desk.authenticator, desk.token(), tracing=told) as runtime:
        with runtime._bus.subscribe() as live:
            told.current = PARENT
            receipt = await runtime.submit(Message(desk.token(), SpawnAgent(None, "worker")))
            told_of = [await anext(live) for _ in receipt.events]

    assert [each.trace for each in told_of if isinstance(each, Logged)] == [PARENT] * 2


async def test_a_log_with_traces_is_recovered_by_who_follows_nothing(desk, store) -> None:
    told = Told()
    told.current = PARENT
    async with open_runtime(store, desk.authenticator, desk.token(), tracing=told) as runtime:
        token = desk.token()
        first = await runtime.submit(Message(token, SpawnAgent(None, "worker"), "key"))
    async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
        assert await runtime.submit(Message(token, SpawnAgent(None, "worker"), "key")) == first
        assert runtime.in_flight == 0
    events = [from_store(event) async for event in store.read()]
    assert [event.trace for event in events if event.event in first.events] == [PARENT] * len(
        first.events
    )


def test_by_default_a_span_is_nothing_at_all() -> None:
    with NO_TRACING.span("work", {"a": 1}, parent=PARENT):
        NO_TRACING.annotate({"b": 2})
        assert NO_TRACING.current == ""
        assert NO_TRACING.environment() == {}


def test_nothing_of_opentelemetry_is_imported() -> None:
    code = "import sys, toka.runtime; sys.exit(any('telemetry' in name for name in sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own
