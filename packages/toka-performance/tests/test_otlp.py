import logging
import socket
import subprocess
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from toka.performance import NotInstalled, TelemetrySettings, start_telemetry

needs_otlp = pytest.mark.skipif(
    subprocess.run(
        [sys.executable, "-c", "import opentelemetry.exporter.otlp.proto.http"],
        capture_output=True,
        check=False,
    ).returncode
    != 0,
    reason="the extra `otlp` is not installed",
)


@pytest.fixture
def collector():
    """A receiver of OTLP over HTTP: its address, and what it got."""
    got = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = zlib.decompress(body, 31)
            got.setdefault(self.path, []).append((dict(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format, *args):  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", got
    server.shutdown()
    thread.join()
    server.server_close()


@needs_otlp
def test_a_collector_gets_spans_metrics_and_logs(collector):
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2  # noqa: PLC0415
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415

    address, got = collector
    settings = TelemetrySettings(
        service="tested", otlp=address + "/", otlp_headers={"x-key": "k"}, interval=3600
    )
    running = start_telemetry(settings, everywhere=False)
    with running.tracer("t").start_as_current_span("work") as span:
        logging.getLogger("toka.test").warning("hello")
        running.meter("m").create_counter("made").add(7)
    assert running.flush()
    running.stop()

    headers, body = got["/v1/traces"][0]
    trace = trace_service_pb2.ExportTraceServiceRequest.FromString(body).resource_spans[0]
    sent = trace.scope_spans[0].spans[0]
    assert {key.lower(): value for key, value in headers.items()}["x-key"] == "k"
    assert (sent.name, sent.trace_id.hex()) == ("work", f"{span.get_span_context().trace_id:032x}")
    assert {each.key: each.value.string_value for each in trace.resource.attributes}[
        "service.name"
    ] == "tested"

    _, body = got["/v1/metrics"][0]
    metric = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
    assert metric.scope_metrics[0].metrics[0].sum.data_points[0].as_int == 7

    _, body = got["/v1/logs"][0]
    log = logs_service_pb2.ExportLogsServiceRequest.FromString(body).resource_logs[0]
    record = log.scope_logs[0].log_records[0]
    assert (record.body.string_value, record.trace_id) == ("hello", sent.trace_id)


@needs_otlp
def test_a_collector_that_is_not_there_holds_nobody_up():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        settings = TelemetrySettings(
            service="s", otlp=f"http://127.0.0.1:{taken.getsockname()[1]}", timeout=0.5
        )
        running = start_telemetry(settings, everywhere=False)
        running.tracer("t").start_span("s").end()
        began = time.monotonic()
        running.stop()

    assert time.monotonic() - began < 10


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    handlers = list(logging.getLogger().handlers)

    with pytest.raises(NotInstalled, match=r"toka-performance\[otlp\]"):
        start_telemetry(TelemetrySettings(service="s", otlp="http://x:1"), everywhere=False)

    assert logging.getLogger().handlers == handlers
