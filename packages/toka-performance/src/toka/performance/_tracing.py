"""Spans of OpenTelemetry behind the seam that Toka's own packages have, `toka.runtime.Tracing`.

What a span says of an error is its code or its class, never its text: that may hold what a tool or
a model returned.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from opentelemetry import context as contexts
from opentelemetry import trace

from toka.performance._propagation import child_environment, extract_trace
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

_KINDS: Final = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
}
_NOTHING: Final[Mapping[str, str | int | float | bool]] = {}


class SpanTracing:
    """Makes a span of OpenTelemetry of each piece of work that it is told of."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @property
    def current(self) -> str:
        """The open span as a `traceparent`; empty if there is none, or it is not sampled."""
        span = trace.get_current_span().get_span_context()
        if not span.is_valid or not span.trace_flags.sampled:
            return ""
        return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, str | int | float | bool] = _NOTHING,
        *,
        parent: str = "",
        kind: Literal["internal", "server", "client"] = "internal",
    ) -> Generator[None]:
        """Let what is done in the block be a span, and what raises end it as failed."""
        span = self._tracer.start_span(name, _context(parent), _KINDS[kind], attributes)
        token = contexts.attach(trace.set_span_in_context(span))
        try:
            yield
        except BaseException as error:
            span.set_status(trace.StatusCode.ERROR)
            span.set_attribute("error.type", _type_of(error))
            raise
        finally:
            contexts.detach(token)
            span.end()

    def annotate(self, attributes: Mapping[str, str | int | float | bool]) -> None:
        """Say something of the open span."""
        trace.get_current_span().set_attributes(attributes)

    def environment(self) -> dict[str, str]:
        """Return the variables that tell a child process of the open span."""
        return child_environment({})


def _context(parent: str) -> Context | None:
    return extract_trace({"traceparent": parent}) if parent else None


def _type_of(error: BaseException) -> str:
    return error.code if isinstance(error, TokaError) else type(error).__qualname__
