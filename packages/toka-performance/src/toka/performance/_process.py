"""What the operating system and the interpreter know of this process, as instruments.

Each is read when somebody asks; what this system cannot tell is absent, never zero. Names and units
are those of OpenTelemetry's semantic conventions where they have one.
"""

from __future__ import annotations

import gc
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from psutil import Process

_Pairs: TypeAlias = "Iterable[tuple[float, dict[str, str]]]"


def observe_process(meter: Meter) -> Callable[[], None]:
    """Have processor, memory, threads, files and garbage collection of this process measured.

    Returns:
        A function that ends the timing of garbage collections.
    """
    from psutil import Process  # noqa: PLC0415 - only who measures pays for it

    process = Process()
    counter, gauge = meter.create_observable_counter, meter.create_observable_gauge
    counter(
        "process.cpu.time", [_read(lambda: _cpu_times(process))], "s", "Processor time, by mode."
    )
    gauge(
        "process.memory.usage",
        [_read(lambda: [(process.memory_info().rss, {})])],
        "By",
        "Memory that is resident.",
    )
    gauge(
        "process.memory.virtual",
        [_read(lambda: [(process.memory_info().vms, {})])],
        "By",
        "Memory that is mapped.",
    )
    gauge(
        "process.thread.count",
        [_read(lambda: [(process.num_threads(), {})])],
        "{thread}",
        "Threads of the operating system.",
    )
    counter(
        "process.context_switches",
        [_read(lambda: _switches(process))],
        "{context_switch}",
        "How often the processor was given up, or taken away.",
    )
    if hasattr(process, "num_fds"):  # not on Windows
        gauge(
            "process.unix.file_descriptor.count",
            [_read(lambda: [(process.num_fds(), {})])],
            "{file_descriptor}",
            "Files and sockets that are open.",
        )
    return _observe_collections(meter)


def observe_machine(meter: Meter, *, disk: str = "/") -> None:
    """Have processor, memory, load and one disk of this machine measured."""
    import psutil  # noqa: PLC0415 - as above

    gauge = meter.create_observable_gauge
    gauge(
        "system.cpu.load_average.1m",
        [_read(lambda: [(psutil.getloadavg()[0], {})])],
        "{run_queue_item}",
        "Processes that run or wait to, over a minute.",
    )
    gauge(
        "system.memory.utilization",
        [_read(lambda: [(psutil.virtual_memory().percent / 100, {})])],
        "1",
        "Share of memory that is not available.",
    )
    gauge(
        "system.filesystem.utilization",
        [_read(lambda: [(psutil.disk_usage(disk).percent / 100, {"mountpoint": disk})])],
        "1",
        "Share of a disk that is used.",
    )
    meter.create_observable_counter(
        "system.cpu.time", [_read(_system_times)], "s", "Processor time of the machine, by mode."
    )


def _read(figures: Callable[[], _Pairs]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Return a callback that gives nothing where this system has nothing to tell."""
    from opentelemetry.metrics import Observation  # noqa: PLC0415 - as above
    from psutil import Error  # noqa: PLC0415 - as above

    def observe(_: CallbackOptions) -> list[Observation]:
        try:
            return [Observation(value, labels) for value, labels in figures()]
        except (Error, OSError):
            return []

    return observe


def _cpu_times(process: Process) -> _Pairs:
    times = process.cpu_times()
    return [(times.user, {"cpu.mode": "user"}), (times.system, {"cpu.mode": "system"})]


def _switches(process: Process) -> _Pairs:
    switches = process.num_ctx_switches()
    kind = "process.context_switch.type"
    return [
        (switches.voluntary, {kind: "voluntary"}),
        (switches.involuntary, {kind: "involuntary"}),
    ]


def _system_times() -> _Pairs:
    import psutil  # noqa: PLC0415 - as above

    times = psutil.cpu_times()
    return [(getattr(times, mode), {"cpu.mode": mode}) for mode in ("user", "system", "idle")]


def _observe_collections(meter: Meter) -> Callable[[], None]:
    for key, name in (
        ("collections", "cpython.gc.collections"),
        ("collected", "cpython.gc.collected_objects"),
        ("uncollectable", "cpython.gc.uncollectable_objects"),
    ):
        meter.create_observable_counter(
            name,
            [_read(partial(_generations, key))],
            "",
            "Garbage collection, by generation.",
        )
    pauses = _Pauses()
    meter.create_observable_counter(
        "toka.gc.pause", [_read(pauses.total)], "s", "Time that garbage collection took."
    )
    meter.create_observable_gauge(
        "toka.gc.longest_pause", [_read(pauses.take_longest)], "s", "Since this was last read."
    )
    gc.callbacks.append(pauses.measure)
    return lambda: gc.callbacks.remove(pauses.measure)


class _Pauses:
    """Adds up how long garbage collections take.

    A collection may begin anywhere, also while an instrument is locked by this very thread; so
    nothing but plain numbers is touched here, and instruments read them.
    """

    def __init__(self) -> None:
        self._began = self._total = self._longest = 0.0

    def measure(self, phase: Literal["start", "stop"], _: dict[str, int]) -> None:
        if phase == "start":
            self._began = perf_counter()
            return
        pause = perf_counter() - self._began
        self._total += pause
        self._longest = max(self._longest, pause)

    def total(self) -> _Pairs:
        return [(self._total, {})]

    def take_longest(self) -> _Pairs:
        longest, self._longest = self._longest, 0.0
        return [(longest, {})]


def _generations(key: str) -> _Pairs:
    return [
        (figures[key], {"cpython.gc.generation": str(number)})
        for number, figures in enumerate(gc.get_stats())
    ]
