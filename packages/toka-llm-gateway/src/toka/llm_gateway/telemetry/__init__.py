"""Calls as OpenTelemetry spans and metrics. It needs the extra `telemetry`."""

from toka.llm_gateway.telemetry._observed import ObservedModel

__all__ = ["ObservedModel"]
