"""How late the event loop is, and how full queues are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import attrs

from toka.performance._errors import TelemetryError
from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from opentelemetry.metrics import CallbackOptions, Meter, Observation

    from toka.types import Clock

_SECOND: Final = 1_000_000_000
_INTERVAL: Final = _SECOND // 10
_LAGS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


async def watch_event_loop(
    meter: Meter, *, interval: int = _INTERVAL, clock: Clock | None = None
) -> None:
    """Measure how much later than asked the event loop wakes a task, until it is cancelled.

    Args:
        meter: Where the histogram `toka.event_loop.lag` is kept.
        interval: Nanoseconds between two wakings.
        clock: The clock that is slept on.
    """
    clock = clock or SystemClock()
    lags = meter.create_histogram(
        "toka.event_loop.lag",
        "s",
        "How late the event loop woke a task.",
        explicit_bucket_boundaries_advisory=list(_LAGS),
    )
    while True:
        asked = clock.monotonic() + interval
        await clock.sleep(interval)
        lags.record(max(0, clock.monotonic() - asked) / _SECOND)


@attrs.frozen
class _Queue:
    depth: Callable[[], int]
    capacity: int | None


class Queues:
    """The queues of a process, as the gauges `toka.queue.depth` and `toka.queue.capacity`."""

    def __init__(self, meter: Meter) -> None:
        self._queues: dict[str, _Queue] = {}
        create = meter.create_observable_gauge
        create("toka.queue.depth", [self._depths], "{item}", "What waits in a queue.")
        create("toka.queue.capacity", [self._capacities], "{item}", "What a queue can hold.")

    @contextmanager
    def watched(
        self, name: str, depth: Callable[[], int], capacity: int | None = None
    ) -> Generator[None]:
        """Have a queue measured as long as the block runs.

        Raises:
            TelemetryError: a queue of that name is watched already.
        """
        if name in self._queues:
            raise TelemetryError(f"A queue {name!r} is watched already.")
        self._queues[name] = _Queue(depth, capacity)
        try:
            yield
        finally:
            del self._queues[name]

    def _depths(self, _: CallbackOptions) -> list[Observation]:
        return self._observations(lambda queue: queue.depth())

    def _capacities(self, _: CallbackOptions) -> list[Observation]:
        return self._observations(lambda queue: queue.capacity)

    def _observations(self, figure: Callable[[_Queue], int | None]) -> list[Observation]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - only who measures pays

        # A copy, because queues come and go while an exporter's thread reads.
        found = [(name, figure(queue)) for name, queue in list(self._queues.items())]
        return [Observation(value, {"queue": name}) for name, value in found if value is not None]
