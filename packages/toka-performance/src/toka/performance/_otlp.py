"""Exporters of OTLP over HTTP, in its JSON, by the standard library alone.

OpenTelemetry's own exporter brings protobuf and `requests`, whose import costs a short command
more processor time than all that it then does. It remains to be had, as `http/protobuf`.

Each exporter is called from a thread of the SDK's, one export at a time. Proxies are taken from the
environment, a redirection is an error, and nothing of a header is ever logged.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from toka.performance._otlp_json import encode_logs, encode_metrics, encode_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from urllib.request import BaseHandler, OpenerDirector

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

logger = logging.getLogger("opentelemetry.toka.otlp")
"""Below the name whose records are not exported themselves."""

_AGAIN: Final = frozenset({429, 502, 503, 504})
"""What a collector says that can take it later (OTLP specification, "Failures")."""
_FIRST_PAUSE: Final = 0.25
_HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
_CERTIFICATE: Final = "OTEL_EXPORTER_OTLP_CERTIFICATE"


class Sender:
    """Sends bodies to one address, and tries again for as long as an export may take."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        """Prepare to send; nothing is connected yet.

        Args:
            url: Where a signal is taken.
            headers: Sent along; those of the environment if there are none.
            timeout: Seconds for an export with all its attempts.
        """
        self._url = url
        given = dict(headers) or headers_of(os.environ.get(_HEADERS, ""))
        self._headers = {**given, "Content-Type": "application/json"}
        self._timeout = timeout
        self._opener: OpenerDirector | None = None
        self._ended = threading.Event()

    def send(self, body: bytes) -> bool:
        """Return whether the collector took it."""
        deadline, pause = time.monotonic() + self._timeout, _FIRST_PAUSE
        while True:
            refusal, is_worth_it = self._try(body, deadline - time.monotonic())
            if not refusal:
                return True
            if not is_worth_it or time.monotonic() + pause >= deadline:
                logger.warning("%s did not take what was measured: %s", self._url, refusal)
                return False
            if self._ended.wait(pause):
                return False
            pause *= 2

    def _try(self, body: bytes, seconds: float) -> tuple[str, bool]:
        """Return what was refused, if it was, and whether it may be taken later."""
        from http.client import HTTPException  # noqa: PLC0415 - not before something is sent
        from urllib.error import HTTPError  # noqa: PLC0415
        from urllib.request import Request  # noqa: PLC0415

        if self._opener is None:
            self._opener = _make_opener(self._url)
        asked = Request(self._url, body, self._headers, method="POST")  # noqa: S310 - of http, by the settings
        try:
            with self._opener.open(asked, timeout=seconds) as answer:
                answer.read()
        except HTTPError as error:
            with error:
                return f"status {error.code}", error.code in _AGAIN
        except (OSError, HTTPException) as error:
            return str(error) or type(error).__name__, True
        return "", False

    def close(self) -> None:
        """Wait no longer for a collector."""
        self._ended.set()


def _make_opener(url: str) -> OpenerDirector:
    from urllib.request import (  # noqa: PLC0415 - as above
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
        HTTPHandler,
        OpenerDirector,
        ProxyHandler,
        UnknownHandler,
    )

    opener = OpenerDirector()
    # No handler of redirections: what was measured, and a credential, would go elsewhere.
    for make in (
        ProxyHandler,
        UnknownHandler,
        HTTPHandler,
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
    ):
        opener.add_handler(make())
    if url.startswith("https:"):
        opener.add_handler(_https())
    return opener


def _https() -> BaseHandler:
    from ssl import create_default_context  # noqa: PLC0415 - as above; it reads all certificates
    from urllib.request import HTTPSHandler  # noqa: PLC0415

    cafile = os.environ.get(_CERTIFICATE) or None
    return HTTPSHandler(context=create_default_context(cafile=cafile))


def headers_of(text: str) -> dict[str, str]:
    """Return the headers that OpenTelemetry's variable of that name holds (W3C Baggage's form)."""
    pairs = (each.partition("=") for each in text.split(",") if "=" in each)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


class OtlpSpans(SpanExporter):
    """Sends spans."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans that have ended."""
        sent = self._sender.send(encode_spans(spans))
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Wait no longer for a collector."""
        self._sender.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - of the SDK's base
        """Nothing waits here."""
        return True


class OtlpLogs(LogRecordExporter):
    """Sends records of `logging`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Send records."""
        sent = self._sender.send(encode_logs(batch))
        return LogRecordExportResult.SUCCESS if sent else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - as above
        """Nothing waits here."""
        return True

    def shutdown(self) -> None:
        """Wait no longer for a collector."""
        self._sender.close()


class OtlpMetrics(MetricExporter):
    """Sends metrics."""

    def __init__(self, sender: Sender) -> None:
        super().__init__()
        self._sender = sender

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,  # noqa: ARG002 - of the SDK's base; the sender has its own
        **_: object,
    ) -> MetricExportResult:
        """Send metrics as of now."""
        sent = self._sender.send(encode_metrics(metrics_data))
        return MetricExportResult.SUCCESS if sent else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - as above
        """Nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:  # noqa: ARG002
        """Wait no longer for a collector."""
        self._sender.close()
