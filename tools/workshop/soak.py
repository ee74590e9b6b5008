"""The soak command: a service under load for minutes, and what became of every run.

Nothing is lost if every run that was acknowledged is found to have ended well. Memory is flat if a
line through it, from the half of the time on, does not climb.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from workshop.measure import scratch
from workshop.shell import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._service_load import Server

USUAL_MINUTES: Final = 0.5
CLIENTS: Final = 64
SAMPLES: Final = 40
_PATIENCE: Final = 900.0
_PAGE: Final = 500
_KIB: Final = 1024


def main(arguments: Sequence[str]) -> int:
    """Load a service; the exit status is 1 if a run was lost."""
    options = _parse(arguments)
    # Only now: it needs Toka, and help does not.
    from benchmarks import _service_load as service  # noqa: PLC0415

    with scratch() as folder, service.served(folder) as server:
        request = server.request("POST", "/v1/runs", {"source": "idle.yaml"})
        memory = _Memory(server, options.minutes * 60 / SAMPLES)
        load = asyncio.run(
            service.load(server, request, CLIENTS, options.minutes * 60, pace=options.pace)
        )
        memory.stop()
        say(
            f"{len(load.latencies):,} runs begun in {load.seconds:.0f} s: {load.rate:.0f}/s,"
            f" p50 {load.percentile(0.5):.0f} ms, p99 {load.percentile(0.99):.0f} ms,"
            f" {load.refused:,} refused"
        )
        _wait_for_ends(server)
        states = _states(server)
        lost = len(load.latencies) - states.get("completed", 0)
        memory.tell(len(load.latencies))
        seconds = server.processor_seconds()
        say(f"{seconds / len(load.latencies) * 1_000:.2f} ms of processor time a run")
        found = ", ".join(f"{count:,} {name}" for name, count in states.items())
        say(f"found: {found}; lost: {lost:,}")
    return int(lost != 0)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/soak", description="Load a service for minutes, and look for what was lost."
    )
    parser.add_argument(
        "--minutes", type=float, default=USUAL_MINUTES, help="%(default)s if unsaid"
    )
    parser.add_argument(
        "--pace", type=float, default=0, help="runs begun a second; as many as can be if unsaid"
    )
    return parser.parse_args(arguments)


class _Memory:
    """Samples of a process's memory, taken in a thread while others load it."""

    def __init__(self, server: Server, pause: float) -> None:
        self._server = server
        self._pause = pause
        self._ended = threading.Event()
        self._seen: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(self._pause):
            self._seen.append((time.monotonic() - began, self._server.resident_megabytes()))

    def stop(self) -> None:
        """Take no further samples."""
        self._ended.set()
        self._thread.join()

    def tell(self, runs: int) -> None:
        """Say what was seen, and how steep its second half is."""
        marks = self._seen[:: max(1, len(self._seen) // 8)]
        say("memory: " + ", ".join(f"{size:.0f} MiB at {at:.0f} s" for at, size in marks))
        late = self._seen[len(self._seen) // 2 :]
        slope, rate = _slope(late), runs / self._seen[-1][0]
        say(
            f"from the half on {slope * 60:+.2f} MiB a minute, {slope / rate * _KIB:+.2f} KiB a run"
        )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the steepness of the line with the least squares."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def _wait_for_ends(server: Server) -> None:
    deadline = time.monotonic() + _PATIENCE
    while server.get("/status")["current_phase"] != "idle":
        if time.monotonic() > deadline:
            raise TimeoutError(f"runs go on {_PATIENCE:g} s after the load")
        time.sleep(0.5)


def _states(server: Server) -> dict[str, int]:
    """Count the runs by their states, looking at each."""
    found: dict[str, int] = {}
    after: str | None = ""
    while after is not None:
        page: Any = server.get(f"/v1/runs?limit={_PAGE}&after={after}")
        for run in page["runs"]:
            found[run["state"]] = found.get(run["state"], 0) + 1
        after = page["next"]
    return found
