"""Having this process observed, if its environment or its command line asks for that.

The environment is OpenTelemetry's own: `OTEL_EXPORTER_OTLP_ENDPOINT` says where a collector
listens, and without it nothing of OpenTelemetry is even imported.
"""

from __future__ import annotations

import gc
import os
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import attrs

from toka.runtime import MAX_IN_FLIGHT, NO_TRACING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from toka.performance import Queues, Telemetry
    from toka.runtime import Runtime, Tracing


@attrs.frozen
class Observation:
    """What a process is observed with; nothing at all by default."""

    tracing: Tracing = NO_TRACING
    metrics: Callable[[], str] | None = None
    """Returns the metrics as of now, in Prometheus' text format."""
    queues: Queues | None = None

    def command(self, name: str) -> AbstractContextManager[object]:
        """Let a whole command be a span, in the trace that its environment tells of."""
        return self.tracing.span(name, parent=os.environ.get("TRACEPARENT", ""))

    @contextmanager
    def watched(self, runtime: Runtime) -> Generator[None]:
        """Have the queue of a host measured as long as the block runs."""
        if self.queues is None:
            yield
            return
        with self.queues.watched("submissions", lambda: runtime.in_flight, MAX_IN_FLIGHT):
            yield


NOT_OBSERVED: Final = Observation()


@asynccontextmanager
async def observed(
    service: str, disk: Path, *, wanted: bool = False
) -> AsyncGenerator[Observation, None]:
    """Have this process observed as long as the block runs, if that is asked for.

    Args:
        service: What the process is, unless `OTEL_SERVICE_NAME` says so.
        disk: A path on the disk that matters.
        wanted: Measure also where there is no collector to send to.

    Raises:
        NotInstalled: A collector is named, and the extra `telemetry` is missing.
        TelemetryError: A variable of OpenTelemetry makes no sense.
    """
    if not (wanted or _is_asked_for()):
        yield NOT_OBSERVED
        return
    with _uncollected():
        from toka.performance import (  # noqa: PLC0415 - most processes are not observed
            Queues,
            TelemetrySettings,
            start_telemetry,
            watch_event_loop,
        )

        settings = TelemetrySettings.from_environment(service, version("toka-cli"))
        running = start_telemetry(settings)
    try:
        with _measured(running, disk):
            async with anyio.create_task_group() as group:
                meter = running.meter("toka.cli")
                group.start_soon(watch_event_loop, meter)
                yield Observation(running.tracing("toka"), running.metrics_text, Queues(meter))
                group.cancel_scope.cancel()
    finally:
        # What was seen last is what whoever looks for a cause wants most.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(running.stop)


@contextmanager
def _uncollected() -> Generator[None]:
    """Let the cyclic collector rest while modules are imported: all that they make stays."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _is_asked_for() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")) and not disabled


@contextmanager
def _measured(running: Telemetry, disk: Path) -> Generator[None]:
    from toka.performance import observe_machine, observe_process  # noqa: PLC0415 - see `observed`

    meter = running.meter("toka.cli")
    observe_machine(meter, disk=str(disk))
    end = observe_process(meter)
    try:
        yield
    finally:
        end()
