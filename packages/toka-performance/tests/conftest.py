import pytest
from hypothesis import settings

from toka.performance import TelemetrySettings, start_telemetry

settings.register_profile("toka-performance", max_examples=25, deadline=None)


@pytest.fixture(autouse=True, scope="session")
def _hypothesis():
    settings.load_profile("toka-performance")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def observed():
    """Telemetry whose spans and log records a test can read."""
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
        InMemorySpanExporter,
    )

    spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()

    def start(**settings):
        running = start_telemetry(
            TelemetrySettings(service="tested", **settings),
            spans=[spans],
            logs=[logs],
            everywhere=False,
        )
        started.append(running)
        return running, spans, logs

    started = []
    yield start
    for running in started:
        running.stop()
