"""Traces, metrics, profiles and benchmarks that are measured, never made up."""

from __future__ import annotations as _annotations

from toka.performance._errors import (
    InvalidFigure,
    NotInstalled,
    PerformanceError,
    TelemetryError,
    UnreadableResult,
)
from toka.performance._histogram import Histogram
from toka.performance._loop import Queues, watch_event_loop
from toka.performance._machine import machine
from toka.performance._measure import Bar, Measure, Subject, at_least, at_most
from toka.performance._plot import Line, plot_bars, plot_lines, plot_result
from toka.performance._process import observe_machine, observe_process
from toka.performance._propagation import (
    child_environment,
    continued_trace,
    extract_trace,
    inject_trace,
    parent_trace,
)
from toka.performance._results import Result, load_result, load_results, run_suites, save_result
from toka.performance._settings import TelemetrySettings
from toka.performance._statistics import Interval, bootstrap
from toka.performance._subjects import latency, throughput, timings
from toka.performance._table import table
from toka.performance._telemetry import Telemetry, start_telemetry, telemetry
from toka.performance._turns import Row, rows, take_turns

__all__ = [
    "Bar",
    "Histogram",
    "Interval",
    "InvalidFigure",
    "Line",
    "Measure",
    "NotInstalled",
    "PerformanceError",
    "Queues",
    "Result",
    "Row",
    "Subject",
    "Telemetry",
    "TelemetryError",
    "TelemetrySettings",
    "UnreadableResult",
    "at_least",
    "at_most",
    "bootstrap",
    "child_environment",
    "continued_trace",
    "extract_trace",
    "inject_trace",
    "latency",
    "load_result",
    "load_results",
    "machine",
    "observe_machine",
    "observe_process",
    "parent_trace",
    "plot_bars",
    "plot_lines",
    "plot_result",
    "rows",
    "run_suites",
    "save_result",
    "start_telemetry",
    "table",
    "take_turns",
    "telemetry",
    "throughput",
    "timings",
    "watch_event_loop",
]
