"""The sampler of a process: a share of traces, decided where each begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBasedTraceIdRatio, Sampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import SamplingResult
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes


class ShareOfTraces(Sampler):
    """Samples as the parent was sampled, and a share of what has no parent.

    The SDK's tracers go on recording after their provider was shut down, for nobody; a sampler that
    says no makes them cost as little as if there had never been a provider.
    """

    def __init__(self, share: float) -> None:
        self._sampler: Sampler = ParentBasedTraceIdRatio(share)

    def switch_off(self) -> None:
        """Sample nothing from now on."""
        self._sampler = ALWAYS_OFF

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about one span."""
        return self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Return what the sampler does."""
        return self._sampler.get_description()
