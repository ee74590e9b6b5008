"""The JSON, held to what OpenTelemetry's own encoder makes of the same things."""

import base64
import json
import math
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    set_span_in_context,
)

from toka.performance import _otlp_json as ours

pytest.importorskip("opentelemetry.exporter.otlp.proto.common", reason="needs the extra `otlp`")

from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common import _log_encoder as logs
from opentelemetry.exporter.otlp.proto.common import metrics_encoder as metrics
from opentelemetry.exporter.otlp.proto.common import trace_encoder as traces

RESOURCE = Resource({"service.name": "s", "count": 3}, "https://schema")
REMOTE = SpanContext(7 << 90, 9 << 40, is_remote=True)
ATTRIBUTES = {
    "text": "ü",
    "yes": True,
    "whole": 1 << 60,
    "part": 0.5,
    "texts": ["a", "b"],
    "numbers": [1, 2],
}


def read(body: bytes, like):
    """Return the request that the JSON says, as a message of protobuf."""
    made = type(like)()
    json_format.ParseDict(_with_base64(json.loads(body)), made)
    return made


def _with_base64(value):
    """OTLP's JSON has identifiers in hexadecimal, where protobuf's has base64."""
    if isinstance(value, list):
        return [_with_base64(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64encode(bytes.fromhex(each)).decode()
        if name in ("traceId", "spanId", "parentSpanId")
        else _with_base64(each)
        for name, each in value.items()
    }


def test_spans_are_what_the_official_encoder_says():
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    parent = set_span_in_context(NonRecordingSpan(REMOTE))
    for scope in ("one", "two"):
        tracer = provider.get_tracer(scope, "1.0", "https://scope", {"of": scope})
        for kind in SpanKind:
            link = Link(REMOTE, {"why": "because"})
            with tracer.start_as_current_span(
                "work", parent, kind, ATTRIBUTES, links=[link]
            ) as span:
                span.add_event("seen", {"where": "there"})
                span.set_status(StatusCode.ERROR, "broken")
    tracer.start_span("bare").end()
    spans = kept.get_finished_spans()
    wanted = traces.encode_spans(spans)
    assert read(ours.encode_spans(spans), wanted) == wanted


def test_metrics_are_what_the_official_encoder_says():
    reader = InMemoryMetricReader()
    steep = View(instrument_name="steep", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], RESOURCE, views=[steep], shutdown_on_exit=False)
    meter = provider.get_meter("m", "2")
    meter.create_counter("count", "1", "counted").add(7, ATTRIBUTES)
    meter.create_up_down_counter("level").add(-1.5)
    meter.create_gauge("gauge").set(3)
    for name in ("flat", "steep"):
        histogram = meter.create_histogram(name, "s")
        for value in (0, 0.1, 3, 1e9):
            histogram.record(value, {"a": "b"})
    data = reader.get_metrics_data()
    assert data is not None
    wanted = metrics.encode_metrics(data)
    assert read(ours.encode_metrics(data), wanted) == wanted


@pytest.mark.parametrize(
    "body", ["text", None, b"\x00\xff", {"a": [1, None, {"b": 0.5}]}, [True], -(1 << 63)]
)
def test_logs_are_what_the_official_encoder_says(body):
    make: Any = LogRecord  # which takes these together, whatever its overloads say
    full = make(
        timestamp=1,
        observed_timestamp=2,
        trace_id=REMOTE.trace_id,
        span_id=REMOTE.span_id,
        trace_flags=REMOTE.trace_flags,
        severity_text="WARN",
        severity_number=SeverityNumber.WARN,
        body=body,
        attributes=ATTRIBUTES,
        event_name="event",
    )
    scope = InstrumentationScope("l", "3")
    records = [ReadableLogRecord(each, RESOURCE, scope) for each in (full, LogRecord(timestamp=5))]
    wanted = logs.encode_logs(records)
    assert read(ours.encode_logs(records), wanted) == wanted


@pytest.mark.parametrize(
    ("value", "name"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
)
def test_numbers_that_json_has_not_are_named(value, name):
    assert ours._value(value) == {"doubleValue": name}
