"""Traces, metrics, profiles and benchmarks that are measured, never made up."""

from __future__ import annotations as _annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from toka.performance._errors import (
    InvalidFigure,
    NotInstalled,
    PerformanceError,
    TelemetryError,
    UnreadableResult,
)
from toka.performance._loop import Queues, watch_event_loop
from toka.performance._process import observe_machine, observe_process
from toka.performance._propagation import (
    child_environment,
    continued_trace,
    extract_trace,
    inject_trace,
    parent_trace,
)
from toka.performance._settings import TelemetrySettings
from toka.performance._telemetry import Telemetry, start_telemetry, telemetry

if _TYPE_CHECKING:
    from toka.performance._alerts import (
        Above,
        AlertEvent,
        Alerts,
        AlertSeverity,
        AlertState,
        Below,
        Condition,
        Outside,
        Rule,
    )
    from toka.performance._capacity import (
        CPU,
        DISK,
        MEMORY,
        Advice,
        CapacityReport,
        Forecast,
        Resource,
        Urgency,
        report_capacity,
    )
    from toka.performance._changes import Change, find_change, find_changes
    from toka.performance._cpu_profile import CpuProfile, profile_cpu
    from toka.performance._histogram import Histogram
    from toka.performance._machine import machine
    from toka.performance._measure import Bar, Measure, Subject, at_least, at_most
    from toka.performance._memory_profile import Growth, MemoryProfile, profile_memory
    from toka.performance._plot import Line, plot_bars, plot_lines, plot_result
    from toka.performance._recording import Recording, read_recording, record, report_recording
    from toka.performance._regression import (
        Kind,
        Regression,
        Severity,
        Thresholds,
        compare,
        find_regressions,
        find_shift,
        find_trend,
    )
    from toka.performance._results import Result, load_result, load_results, run_suites, save_result
    from toka.performance._scalability import Scalability, fit_scalability
    from toka.performance._slo import BURN_RULES, BurnRule, ErrorBudget, ServiceLevel
    from toka.performance._statistics import Interval, bootstrap
    from toka.performance._subjects import latency, throughput, timings
    from toka.performance._table import table
    from toka.performance._turns import Row, rows, take_turns

__all__ = [
    "BURN_RULES",
    "CPU",
    "DISK",
    "MEMORY",
    "Above",
    "Advice",
    "AlertEvent",
    "AlertSeverity",
    "AlertState",
    "Alerts",
    "Bar",
    "Below",
    "BurnRule",
    "CapacityReport",
    "Change",
    "Condition",
    "CpuProfile",
    "ErrorBudget",
    "Forecast",
    "Growth",
    "Histogram",
    "Interval",
    "InvalidFigure",
    "Kind",
    "Line",
    "Measure",
    "MemoryProfile",
    "NotInstalled",
    "Outside",
    "PerformanceError",
    "Queues",
    "Recording",
    "Regression",
    "Resource",
    "Result",
    "Row",
    "Rule",
    "Scalability",
    "ServiceLevel",
    "Severity",
    "Subject",
    "Telemetry",
    "TelemetryError",
    "TelemetrySettings",
    "Thresholds",
    "UnreadableResult",
    "Urgency",
    "at_least",
    "at_most",
    "bootstrap",
    "child_environment",
    "compare",
    "continued_trace",
    "extract_trace",
    "find_change",
    "find_changes",
    "find_regressions",
    "find_shift",
    "find_trend",
    "fit_scalability",
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
    "profile_cpu",
    "profile_memory",
    "read_recording",
    "record",
    "report_capacity",
    "report_recording",
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

# PEP 562: what measures for its own sake, and what works on figures, is brought in when it is asked
# for. Every process that is observed imports this package, and needs a third of it.
_LATER = (
    "_alerts",
    "_capacity",
    "_changes",
    "_cpu_profile",
    "_histogram",
    "_machine",
    "_measure",
    "_memory_profile",
    "_plot",
    "_recording",
    "_regression",
    "_results",
    "_scalability",
    "_slo",
    "_statistics",
    "_subjects",
    "_table",
    "_turns",
)


def __getattr__(name: str) -> object:
    if name in __all__:
        modules = (_import_module(f"{__name__}.{each}") for each in _LATER)
        globals()[name] = found = next(vars(each)[name] for each in modules if name in vars(each))
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
