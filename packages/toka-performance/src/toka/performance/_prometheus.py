"""Metrics of OpenTelemetry in Prometheus' text format 0.0.4.

Names follow OpenTelemetry's specification, "Prometheus and OpenMetrics Compatibility": dots become
underscores, the unit is spelt out, and a sum that only grows ends in `_total`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.sdk.metrics.export import (
        HistogramDataPoint,
        Metric,
        MetricsData,
        NumberDataPoint,
    )

_UNITS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent", "1": "ratio"}


def exposition(data: MetricsData | None) -> str:
    """Return the metrics as text; empty if nothing was measured."""
    lines: list[str] = []
    for resource in data.resource_metrics if data else ():
        lines += ["# HELP target_info Who tells this.", "# TYPE target_info gauge"]
        lines.append(_sample("target_info", resource.resource.attributes, 1))
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                lines += _family(metric)
    return "\n".join(lines) + "\n" if lines else ""


def _family(metric: Metric) -> Iterable[str]:
    data = metric.data
    name = _name(metric)
    yield f"# HELP {name} {_one_line(metric.description or metric.name)}"
    if isinstance(data, Histogram):
        yield f"# TYPE {name} histogram"
        for point in data.data_points:
            yield from _histogram(name, point)
    elif isinstance(data, Gauge | Sum):
        yield f"# TYPE {name} {'counter' if _only_grows(metric) else 'gauge'}"
        yield from (_number(name, point) for point in data.data_points)
    else:
        # The text format has no words for exponential buckets, and a summary would be made up.
        yield f"# {name} has exponential buckets, which this format cannot tell."


def _number(name: str, point: NumberDataPoint) -> str:
    return _sample(name, point.attributes or {}, point.value)


def _histogram(name: str, point: HistogramDataPoint) -> Iterable[str]:
    labels = dict(point.attributes or {})
    below = 0
    for bound, count in zip(point.explicit_bounds, point.bucket_counts, strict=False):
        below += count
        yield _sample(f"{name}_bucket", {**labels, "le": f"{bound:g}"}, below)
    yield _sample(f"{name}_bucket", {**labels, "le": "+Inf"}, point.count)
    yield _sample(f"{name}_sum", labels, point.sum)
    yield _sample(f"{name}_count", labels, point.count)


def _name(metric: Metric) -> str:
    name = _plain(metric.name)
    unit = _UNITS.get(metric.unit or "", "")
    if metric.unit == "1" and not isinstance(metric.data, Gauge):
        unit = ""  # "ratio" is only for gauges
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return f"{name.removesuffix('_total')}_total" if _only_grows(metric) else name


def _only_grows(metric: Metric) -> bool:
    return isinstance(metric.data, Sum) and metric.data.is_monotonic


def _sample(name: str, labels: Mapping[str, object], value: float) -> str:
    pairs = ",".join(f'{_plain(key)}="{_escaped(str(text))}"' for key, text in labels.items())
    return f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}"


def _plain(name: str) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return f"_{plain}" if plain[:1].isdigit() else plain


def _escaped(text: str) -> str:
    return _one_line(text).replace('"', r"\"")


def _one_line(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
