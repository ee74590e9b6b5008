"""The providers of OpenTelemetry's SDK, put together; imported when telemetry is switched on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from toka.performance._errors import NotInstalled
from toka.performance._log_handler import LogHandler
from toka.performance._sampler import ShareOfTraces
from toka.performance._settings import PROTOBUF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter

    from toka.performance._settings import TelemetrySettings

_MILLISECONDS: Final = 1000


@attrs.frozen
class Providers:
    """What a process is observed with."""

    tracers: TracerProvider
    meters: MeterProvider
    loggers: LoggerProvider
    sampler: ShareOfTraces
    reader: InMemoryMetricReader
    handler: LogHandler


def make_providers(
    settings: TelemetrySettings,
    resource: Resource,
    spans: Sequence[SpanExporter],
    readers: Sequence[MetricReader],
    logs: Sequence[LogRecordExporter],
) -> Providers:
    """Return providers that nobody uses yet.

    Raises:
        NotInstalled: OTLP is asked for in protobuf without the extra `otlp`.
    """
    sent = _otlp(settings) if settings.otlp else None
    reader = InMemoryMetricReader()
    every = [reader, *readers, *([sent[1]] if sent else [])]
    meters = MeterProvider(every, resource, shutdown_on_exit=False)
    sampler = ShareOfTraces(settings.sample)
    tracers = TracerProvider(sampler, resource, shutdown_on_exit=False)
    loggers = LoggerProvider(resource, shutdown_on_exit=False)
    for span_exporter in spans:
        tracers.add_span_processor(SimpleSpanProcessor(span_exporter))
    for log_exporter in logs:
        loggers.add_log_record_processor(SimpleLogRecordProcessor(log_exporter))
    if sent:
        tracers.add_span_processor(sent[0])
        loggers.add_log_record_processor(sent[2])
    handler = LogHandler(loggers, settings.log_level)
    return Providers(tracers, meters, loggers, sampler, reader, handler)


_Exporters: TypeAlias = "tuple[SpanExporter, MetricExporter, LogRecordExporter]"


def _otlp(
    settings: TelemetrySettings,
) -> tuple[BatchSpanProcessor, PeriodicExportingMetricReader, BatchLogRecordProcessor]:
    """Return what sends to a collector, each from a thread of its own."""
    make = _official if settings.otlp_protocol == PROTOBUF else _own
    spans, metrics, logs = make(settings, (settings.otlp or "").rstrip("/"))
    limit = settings.timeout * _MILLISECONDS
    return (
        BatchSpanProcessor(spans),
        PeriodicExportingMetricReader(metrics, settings.interval * _MILLISECONDS, limit),
        BatchLogRecordProcessor(logs),
    )


def _own(settings: TelemetrySettings, base: str) -> _Exporters:
    from toka.performance._otlp import (  # noqa: PLC0415 - not without a collector
        OtlpLogs,
        OtlpMetrics,
        OtlpSpans,
        Sender,
    )

    def to(signal: str) -> Sender:
        return Sender(f"{base}/v1/{signal}", settings.otlp_headers, settings.timeout)

    return OtlpSpans(to("traces")), OtlpMetrics(to("metrics")), OtlpLogs(to("logs"))


def _official(settings: TelemetrySettings, base: str) -> _Exporters:
    try:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import (  # noqa: PLC0415 - an extra
            OTLPLogExporter,
        )
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - an extra
            OTLPMetricExporter,
        )
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise NotInstalled(
            f"{PROTOBUF} needs the exporter of OpenTelemetry.",
            hint="Install toka-performance[otlp], or let OTLP be sent as http/json.",
        ) from error
    # None, not an empty mapping, lets the exporter read OTEL_EXPORTER_OTLP_HEADERS.
    headers, limit = dict(settings.otlp_headers) or None, settings.timeout
    return (
        OTLPSpanExporter(f"{base}/v1/traces", headers=headers, timeout=limit),
        OTLPMetricExporter(f"{base}/v1/metrics", headers=headers, timeout=limit),
        OTLPLogExporter(f"{base}/v1/logs", headers=headers, timeout=limit),
    )
