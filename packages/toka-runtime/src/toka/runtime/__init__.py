"""Hosts the kernel: authenticates, orders, commits and publishes every message, and recovers."""

from toka.runtime._errors import (
    LogDamaged,
    LogFailed,
    Overloaded,
    Rejected,
    RuntimeClosed,
    RuntimeHostError,
)
from toka.runtime._explanation import MAX_CAUSES, Allowance, Explanation, explain, find_event
from toka.runtime._identifiers import UlidSource
from toka.runtime._log import Logged, from_store, to_store
from toka.runtime._outcomes import StepOutcome, find_outcome
from toka.runtime._policy import PolicedKernel, Policy, PolicyVerdict
from toka.runtime._recovery import ReplayReport, replay
from toka.runtime._runtime import MAX_IN_FLIGHT, Receipt, Runtime, holder_name, open_runtime
from toka.runtime._tracing import NO_TRACING, Attribute, SpanKind, Tracing

__all__ = [
    "MAX_CAUSES",
    "MAX_IN_FLIGHT",
    "NO_TRACING",
    "Allowance",
    "Attribute",
    "Explanation",
    "LogDamaged",
    "LogFailed",
    "Logged",
    "Overloaded",
    "PolicedKernel",
    "Policy",
    "PolicyVerdict",
    "Receipt",
    "Rejected",
    "ReplayReport",
    "Runtime",
    "RuntimeClosed",
    "RuntimeHostError",
    "SpanKind",
    "StepOutcome",
    "Tracing",
    "UlidSource",
    "explain",
    "find_event",
    "find_outcome",
    "from_store",
    "holder_name",
    "open_runtime",
    "replay",
    "to_store",
]
