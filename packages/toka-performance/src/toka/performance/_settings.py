"""What one must say to have a process observed."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping  # noqa: TC003 - attrs resolves it
from typing import Final, Self

import attrs

from toka.performance._errors import TelemetryError

JSON: Final = "http/json"
PROTOBUF: Final = "http/protobuf"


def _check_sample(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        raise TelemetryError(f"{attribute.name} is a share between 0 and 1, not {value}.")


def _check_positive(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not value > 0:
        raise TelemetryError(f"{attribute.name} must be more than 0 seconds, not {value}.")


def _check_protocol(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if value not in (JSON, PROTOBUF):
        raise TelemetryError(f"{attribute.name} is {JSON} or {PROTOBUF}, not {value[:40]!r}.")


def _check_url(_: object, attribute: attrs.Attribute[str | None], value: str | None) -> None:
    if value is not None and not value.startswith(("http://", "https://")):
        raise TelemetryError(f"{attribute.name} must be a URL of http or https.")


@attrs.frozen(kw_only=True)
class TelemetrySettings:
    """What one must say to have a process observed; nothing leaves the process by default.

    Attributes:
        service: The `service.name` of all that is told.
        version: Its `service.version`.
        attributes: Further attributes of the resource.
        sample: The share of traces that are recorded. It is decided where a trace begins, and kept
            by every process that it goes through.
        otlp: Where a collector listens for OTLP over HTTP, such as `http://localhost:4318`.
        otlp_protocol: `http/json`, or `http/protobuf` for a collector that takes nothing else; that
            needs the extra `otlp`.
        otlp_headers: Sent along; they may hold a credential, and are never shown.
        interval: Seconds between two exports of metrics.
        timeout: Seconds after which an export is given up.
        log_level: Records of `logging` from this level on are exported.
        prometheus: Host and port at which metrics are served as text; port 0 is any free one.

    Raises:
        TelemetryError: a value makes no sense.

    """

    service: str
    version: str = ""
    attributes: Mapping[str, str] = attrs.field(factory=dict[str, str])
    sample: float = attrs.field(default=1.0, validator=_check_sample)
    otlp: str | None = attrs.field(default=None, validator=_check_url)
    otlp_protocol: str = attrs.field(default=JSON, validator=_check_protocol)
    otlp_headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    interval: float = attrs.field(default=10.0, validator=_check_positive)
    timeout: float = attrs.field(default=5.0, validator=_check_positive)
    log_level: int = logging.INFO
    prometheus: tuple[str, int] | None = None

    @classmethod
    def from_environment(
        cls, service: str, version: str = "", environment: Mapping[str, str] | None = None
    ) -> Self:
        """Return the settings that OpenTelemetry's own variables ask for.

        `OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_PROTOCOL` and
        `OTEL_TRACES_SAMPLER_ARG` are read here, `OTEL_RESOURCE_ATTRIBUTES` by the SDK itself, and
        `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_EXPORTER_OTLP_CERTIFICATE` by who sends.
        `OTEL_SDK_DISABLED=true` leaves nothing to export to.

        Raises:
            TelemetryError: a variable makes no sense.
        """
        said = os.environ if environment is None else environment
        ratio = said.get("OTEL_TRACES_SAMPLER_ARG", "1")
        try:
            sample = float(ratio)
        except ValueError as error:
            raise TelemetryError(f"OTEL_TRACES_SAMPLER_ARG is no number: {ratio!r}.") from error
        disabled = said.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        return cls(
            service=said.get("OTEL_SERVICE_NAME") or service,
            version=version,
            sample=0.0 if disabled else sample,
            otlp=None if disabled else said.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None,
            otlp_protocol=said.get("OTEL_EXPORTER_OTLP_PROTOCOL") or JSON,
        )
