"""One call that switches OpenTelemetry on in a process, and one that switches it off.

Libraries use OpenTelemetry's API, which does nothing until a process asks for more. That is here:
providers of traces, metrics and logs with one resource, one sampler and one place to send to.
Nothing runs and nothing is sent before the call, and no thread is left after `stop`.
"""

from __future__ import annotations

import logging
import os
import platform
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from toka.performance._errors import TelemetryError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from opentelemetry.metrics import Meter
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

    from toka.performance._providers import Providers
    from toka.performance._scrape import Scrape
    from toka.performance._settings import TelemetrySettings
    from toka.performance._tracing import SpanTracing

_MILLISECONDS: Final = 1000
_everywhere: list[Telemetry] = []
"""What was made the process's own. OpenTelemetry allows that once in the life of a process."""


class Telemetry:
    """Telemetry that is on. `start_telemetry` makes it."""

    def __init__(self, providers: Providers, scrape: tuple[str, int] | None) -> None:
        self._providers = providers
        self._scrape = self._serve(*scrape) if scrape else None
        self._handler: logging.Handler | None = providers.handler
        logging.getLogger().addHandler(providers.handler)

    def _serve(self, host: str, port: int) -> Scrape:
        from toka.performance._scrape import Scrape  # noqa: PLC0415 - a server is seldom wanted

        return Scrape(host, port, self.metrics_text)

    def tracer(self, name: str) -> Tracer:
        """Return a maker of spans for the named library."""
        return self._providers.tracers.get_tracer(name)

    def meter(self, name: str) -> Meter:
        """Return a maker of instruments for the named library."""
        return self._providers.meters.get_meter(name)

    def tracing(self, name: str) -> SpanTracing:
        """Return what Toka's own packages take to be followed, such as `open_runtime`."""
        from toka.performance._tracing import SpanTracing  # noqa: PLC0415 - it needs the API

        return SpanTracing(self.tracer(name))

    @property
    def log_handler(self) -> logging.Handler | None:
        """What records of `logging` go through; None once telemetry is off."""
        return self._handler

    @property
    def prometheus_port(self) -> int | None:
        """The port at which metrics are served, if they are."""
        return self._scrape.port if self._scrape else None

    def metrics_text(self) -> str:
        """Return all metrics as of now, in Prometheus' text format 0.0.4."""
        from toka.performance._prometheus import exposition  # noqa: PLC0415 - it needs the SDK

        return exposition(self._providers.reader.get_metrics_data())

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what waits to be sent; tell whether all of it was taken in time."""
        limit = int(timeout * _MILLISECONDS)
        made = self._providers
        spans = made.tracers.force_flush(limit)
        metrics = made.meters.force_flush(limit)
        return made.loggers.force_flush(limit) and metrics and spans

    def stop(self) -> None:
        """Send what waits, and end everything; a second call does nothing."""
        if self._handler is None:
            return
        logging.getLogger().removeHandler(self._handler)
        self._handler = None
        if self._scrape:
            self._scrape.close()
            self._scrape = None
        _shut_down(self._providers)


@contextmanager
def telemetry(settings: TelemetrySettings) -> Generator[Telemetry]:
    """Have the process observed as long as the block runs.

    Raises:
        NotInstalled: OTLP is asked for in protobuf without the extra `otlp`.
        TelemetryError: the process was observed before, or the port is taken.
    """
    running = start_telemetry(settings)
    try:
        yield running
    finally:
        running.stop()


def start_telemetry(
    settings: TelemetrySettings,
    *,
    spans: Sequence[SpanExporter] = (),
    readers: Sequence[MetricReader] = (),
    logs: Sequence[LogRecordExporter] = (),
    everywhere: bool = True,
) -> Telemetry:
    """Switch on traces, metrics and logs; `stop` switches them off.

    Args:
        settings: What to observe, and where to send it.
        spans: Exporters of spans beside OTLP, such as a test's; called for each span as it ends.
        readers: Readers of metrics beside OTLP and Prometheus.
        logs: Exporters of log records beside OTLP; called for each record.
        everywhere: Make it what `opentelemetry.trace.get_tracer` and its sisters use. That can be
            done once in the life of a process.

    Raises:
        NotInstalled: OTLP is asked for in protobuf without the extra `otlp`.
        TelemetryError: the process was observed before, or the port is taken.
    """
    # The SDK takes long to import, and most processes never switch it on.
    from toka.performance._providers import make_providers  # noqa: PLC0415

    if everywhere and _everywhere:
        raise TelemetryError(
            "Telemetry was switched on in this process before, and OpenTelemetry allows it once.",
            hint="Pass everywhere=False, and use the tracer and the meter of what is returned.",
        )
    providers = make_providers(settings, _resource(settings), spans, readers, logs)
    try:
        running = Telemetry(providers, settings.prometheus)
    except TelemetryError:
        _shut_down(providers)
        raise
    if everywhere:
        _everywhere.append(running)
        _make_global(providers)
    return running


def _make_global(providers: Providers) -> None:
    from opentelemetry import _logs, metrics, trace  # noqa: PLC0415 - as above

    trace.set_tracer_provider(providers.tracers)
    metrics.set_meter_provider(providers.meters)
    _logs.set_logger_provider(providers.loggers)


def _shut_down(providers: Providers) -> None:
    providers.sampler.switch_off()
    providers.loggers.shutdown()
    providers.tracers.shutdown()
    providers.meters.shutdown()


def _resource(settings: TelemetrySettings) -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above

    facts: dict[str, str | int] = {
        "service.name": settings.service,
        "service.instance.id": str(uuid4()),
        "process.pid": os.getpid(),
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
        "host.name": platform.node(),
        **({"service.version": settings.version} if settings.version else {}),
        **settings.attributes,
    }
    return Resource.create(facts)
