"""What the SDK has recorded, as the JSON of OTLP 1.x: the protobuf's fields in camel case.

As the protocol has it (OTLP specification, "JSON Protobuf Encoding"), identifiers are hexadecimal,
enumerations are numbers, and integers of 64 bits are text, because JSON's numbers lose digits.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast

import msgspec
from opentelemetry.sdk.metrics.export import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    HistogramDataPoint,
    NumberDataPoint,
    Sum,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import Metric, MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext

_Object: TypeAlias = dict[str, object]
_Point: TypeAlias = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint
T = TypeVar("T")

_REMOTENESS_KNOWN: Final = 0x100
_IS_REMOTE: Final = 0x200
"""Of the flags of a span, beside those of W3C: whether its parent is in another process."""


def encode_spans(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the body of a request to `/v1/traces`."""
    groups = [(each.resource, each.instrumentation_scope, _span(each)) for each in spans]
    return _grouped("Spans", "spans", groups)


def encode_logs(records: Sequence[ReadableLogRecord]) -> bytes:
    """Return the body of a request to `/v1/logs`."""
    groups = [(each.resource, each.instrumentation_scope, _log(each)) for each in records]
    return _grouped("Logs", "logRecords", groups)


def encode_metrics(data: MetricsData) -> bytes:
    """Return the body of a request to `/v1/metrics`."""
    groups = [
        (several.resource, scoped.scope, _metric(metric))
        for several in data.resource_metrics
        for scoped in several.scope_metrics
        for metric in scoped.metrics
    ]
    return _grouped("Metrics", "metrics", groups)


def _grouped(
    kind: str,
    name: str,
    items: Iterable[tuple[Resource, InstrumentationScope | None, _Object]],
) -> bytes:
    """Put what comes from one process, and of that what one library made, together."""
    found: dict[Resource, dict[InstrumentationScope | None, list[_Object]]] = {}
    for resource, scope, item in items:
        found.setdefault(resource, {}).setdefault(scope, []).append(item)
    groups = [
        {
            "resource": {"attributes": _attributes(resource.attributes)},
            "schemaUrl": resource.schema_url,
            f"scope{kind}": [_scope(scope) | {name: each} for scope, each in scopes.items()],
        }
        for resource, scopes in found.items()
    ]
    return msgspec.json.encode({f"resource{kind}": groups})


def _scope(scope: InstrumentationScope | None) -> _Object:
    if scope is None:
        return {}
    said = {"name": scope.name, "version": scope.version or ""}
    return {
        "scope": {**said, "attributes": _attributes(scope.attributes)},
        "schemaUrl": scope.schema_url or "",
    }


def _span(span: ReadableSpan) -> _Object:
    context = span.get_span_context()
    return {
        **_identity(context),
        "traceState": context.trace_state.to_header() if context else "",
        "parentSpanId": f"{span.parent.span_id:016x}" if span.parent else "",
        "name": span.name,
        # The protocol has a kind that means none before the first.
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": _attributes(span.attributes),
        "droppedAttributesCount": span.dropped_attributes,
        "events": _each(_event, span.events),
        "droppedEventsCount": span.dropped_events,
        "links": _each(_link, span.links),
        "droppedLinksCount": span.dropped_links,
        "status": {
            "code": span.status.status_code.value,
            "message": span.status.description or "",
        },
        "flags": _flags(span.parent),
    }


def _event(event: Event) -> _Object:
    return {
        "timeUnixNano": str(event.timestamp),
        "name": event.name,
        "attributes": _attributes(event.attributes),
    }


def _link(link: Link) -> _Object:
    return {
        **_identity(link.context),
        "attributes": _attributes(link.attributes),
        "flags": _flags(link.context),
    }


def _flags(parent: SpanContext | None) -> int:
    return _REMOTENESS_KNOWN | (_IS_REMOTE if parent is not None and parent.is_remote else 0)


def _identity(context: SpanContext | None) -> _Object:
    if context is None:
        return {}
    return {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}


def _log(readable: ReadableLogRecord) -> _Object:
    record = readable.log_record
    number = record.severity_number
    return {
        "timeUnixNano": str(record.timestamp or 0),
        "observedTimeUnixNano": str(record.observed_timestamp or 0),
        "severityNumber": 0 if number is None else number.value,
        "severityText": record.severity_text or "",
        "body": _value(record.body),
        "attributes": _attributes(record.attributes),
        "droppedAttributesCount": readable.dropped_attributes,
        "flags": int(record.trace_flags or 0),
        "traceId": f"{record.trace_id:032x}" if record.trace_id else "",
        "spanId": f"{record.span_id:016x}" if record.span_id else "",
        "eventName": record.event_name or "",
    }


def _metric(metric: Metric) -> _Object:
    data = metric.data
    told: _Object = {"dataPoints": [_point(point) for point in data.data_points]}
    if isinstance(data, Gauge):
        kind = "gauge"
    elif isinstance(data, Sum):
        kind = "sum"
        told["isMonotonic"] = data.is_monotonic
    else:
        kind = "exponentialHistogram" if isinstance(data, ExponentialHistogram) else "histogram"
    if not isinstance(data, Gauge):
        told["aggregationTemporality"] = int(data.aggregation_temporality)
    return {
        "name": metric.name,
        "description": metric.description or "",
        "unit": metric.unit or "",
        kind: told,
    }


def _point(point: _Point) -> _Object:
    said: _Object = {
        "attributes": _attributes(point.attributes),
        "startTimeUnixNano": str(point.start_time_unix_nano or 0),
        "timeUnixNano": str(point.time_unix_nano),
    }
    if isinstance(point, NumberDataPoint):
        return said | _number(point.value)
    said |= {"count": str(point.count), "sum": _double(point.sum)}
    if point.count:
        said |= {"min": _double(point.min), "max": _double(point.max)}
    if isinstance(point, HistogramDataPoint):
        said["bucketCounts"] = [str(count) for count in point.bucket_counts]
        said["explicitBounds"] = [_double(bound) for bound in point.explicit_bounds]
        return said
    said |= {"scale": point.scale, "zeroCount": str(point.zero_count), "flags": point.flags}
    for name, buckets in (("positive", point.positive), ("negative", point.negative)):
        counts = [str(count) for count in buckets.bucket_counts]
        said[name] = {"offset": buckets.offset, "bucketCounts": counts}
    return said


def _number(value: float) -> _Object:
    return {"asInt": str(value)} if isinstance(value, int) else {"asDouble": _double(value)}


def _double(value: float) -> float | str:
    # JSON has no such numbers; protobuf's JSON has names for them.
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _attributes(attributes: Mapping[str, object] | None) -> list[_Object]:
    return [{"key": key, "value": _value(value)} for key, value in (attributes or {}).items()]


def _value(value: object) -> _Object:
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return {"kvlistValue": {"values": _attributes(members)}}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return {"arrayValue": {"values": _each(_value, cast("Sequence[object]", value))}}
    return {} if value is None else _scalar(value)


def _scalar(value: object) -> _Object:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": _double(value)}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case _:
            return {"stringValue": str(value)}


def _each(encode: Callable[[T], _Object], items: Iterable[T]) -> list[_Object]:
    return [encode(item) for item in items]
