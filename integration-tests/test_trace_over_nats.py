"""What one process publishes over NATS and another works on is one trace."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import attrs
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from toka.bus.nats import NatsBus
from toka.performance import TelemetrySettings, start_telemetry

PATIENCE = 20.0


@attrs.frozen
class Order:
    id: str
    kind: str = "order.made.v1"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(tmp_path / "jetstream")]
    process = subprocess.Popen(  # noqa: S603 - arguments of our own
        ["nats-server", *arguments],  # noqa: S607 - the one on the path
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"nats://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_a_message_carries_the_trace_of_its_publisher(server: str) -> None:
    here, there = InMemorySpanExporter(), InMemorySpanExporter()
    publisher = start_telemetry(TelemetrySettings(service="a"), spans=[here], everywhere=False)
    subscriber = start_telemetry(TelemetrySettings(service="b"), spans=[there], everywhere=False)
    try:
        ours, theirs = publisher.tracing("a"), subscriber.tracing("b")
        async with (
            await NatsBus.open(server, Order, tracing=ours) as bus,
            await NatsBus.open(server, Order) as other,
            await other.subscribe("order.") as orders,
        ):
            with ours.span("order"):
                await bus.publish([Order("1")])
            with anyio.fail_after(PATIENCE):
                await anext(orders)
            with theirs.span("fill", parent=orders.trace):
                pass
    finally:
        publisher.stop()
        subscriber.stop()
    (order,), (fill,) = here.get_finished_spans(), there.get_finished_spans()
    assert fill.context is not None
    assert order.context is not None
    assert fill.parent is not None
    assert fill.context.trace_id == order.context.trace_id
    assert fill.parent.span_id == order.context.span_id
    assert fill.parent.is_remote
