"""Trace context on the way: in messages and events, in headers, and into child processes.

The form is W3C Trace Context and Baggage. A carrier is any mapping of text; whoever reads one that
is missing or malformed begins a trace of its own, as the recommendation demands. In the environment
of a process the names are in upper case, as OpenTelemetry's specification has them.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, MutableMapping

    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import TextMapPropagator

_FIELDS: Final = ("traceparent", "tracestate", "baggage")


def inject_trace(carrier: MutableMapping[str, str]) -> None:
    """Add the current trace to a carrier, such as the metadata of a message."""
    for propagator in _propagators():
        # Its own default setter does not fit its own signature.
        propagator.inject(carrier)  # pyright: ignore[reportArgumentType]


def extract_trace(carrier: Mapping[str, str]) -> Context:
    """Return the context that a carrier tells of; an empty one if it tells of none."""
    from opentelemetry.context import Context  # noqa: PLC0415 - only who traces pays for it

    known = {field: carrier[field] for field in _FIELDS if field in carrier}
    context = Context()
    for propagator in _propagators():
        context = propagator.extract(known, context)
    return context


@contextmanager
def continued_trace(carrier: Mapping[str, str]) -> Generator[None]:
    """Let what runs in the block belong to the trace that a carrier tells of."""
    from opentelemetry import context  # noqa: PLC0415 - as above

    token = context.attach(extract_trace(carrier))
    try:
        yield
    finally:
        context.detach(token)


def child_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment that hands the current trace to a child process.

    What the environment says of an older trace is taken out, even if there is none now: the child
    would join a trace that its parent has long left.
    """
    given = os.environ if environment is None else environment
    made = {name: text for name, text in given.items() if name.lower() not in _FIELDS}
    carrier: dict[str, str] = {}
    inject_trace(carrier)
    return made | {name.upper(): text for name, text in carrier.items()}


def parent_trace(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the carrier that the process which started this one left in the environment."""
    given = os.environ if environment is None else environment
    return {field: given[field.upper()] for field in _FIELDS if field.upper() in given}


@cache
def _propagators() -> tuple[TextMapPropagator, ...]:
    from opentelemetry.baggage.propagation import W3CBaggagePropagator  # noqa: PLC0415 - as above
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - as above
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator(), W3CBaggagePropagator()
