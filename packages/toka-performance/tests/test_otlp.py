import json
import logging
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import attrs
import pytest

from toka.performance import NotInstalled, TelemetrySettings, start_telemetry
from toka.performance._otlp import Sender, headers_of


@attrs.define
class Collector:
    """A receiver of OTLP over HTTP: its address, what it got, and what it answers."""

    url: str = ""
    got: dict[str, list[tuple[dict[str, str], bytes]]] = attrs.Factory(dict)
    answers: list[int] = attrs.Factory(list)
    """Statuses of the next answers; 200 when there are none left."""


@pytest.fixture
def collector():
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): text for name, text in self.headers.items()}
            found.got.setdefault(self.path, []).append((headers, body))
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the base's name

        def log_message(self, format, *args):  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def emit(**said) -> int:
    """Have a span, a metric and a log record sent; return the trace."""
    settings = TelemetrySettings(service="tested", interval=3600, **said)
    running = start_telemetry(settings, everywhere=False)
    with running.tracer("t").start_as_current_span("work") as span:
        logging.getLogger("toka.test").warning("hello")
        running.meter("m").create_counter("made").add(7)
    assert running.flush()
    running.stop()
    return span.get_span_context().trace_id


def test_a_collector_gets_spans_metrics_and_logs(collector):
    trace = emit(otlp=collector.url + "/", otlp_headers={"x-key": "k"})

    headers, body = collector.got["/v1/traces"][0]
    (resource,) = json.loads(body)["resourceSpans"]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert (headers["x-key"], headers["content-type"]) == ("k", "application/json")
    assert (span["name"], span["traceId"]) == ("work", f"{trace:032x}")
    facts = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
    assert facts["service.name"] == {"stringValue": "tested"}

    _, body = collector.got["/v1/metrics"][0]
    (metric,) = json.loads(body)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert metric["sum"]["dataPoints"][0]["asInt"] == "7"

    _, body = collector.got["/v1/logs"][0]
    (record,) = json.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert record["body"] == {"stringValue": "hello"}
    assert (record["traceId"], record["spanId"]) == (f"{trace:032x}", span["spanId"])


def test_a_collector_that_wants_protobuf_gets_it(collector):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otlp`")
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415

    emit(otlp=collector.url, otlp_protocol="http/protobuf")
    headers, body = collector.got["/v1/traces"][0]
    assert headers["content-type"] == "application/x-protobuf"
    asked = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
    assert asked.resource_spans[0].scope_spans[0].spans[0].name == "work"


def test_what_a_collector_cannot_take_now_is_sent_again(collector):
    collector.answers = [503, 429]
    assert Sender(collector.url, {}, 10).send(b"{}")
    assert len(collector.got["/"]) == 3


@pytest.mark.parametrize("status", [400, 401, 413, 500])
def test_what_a_collector_refuses_is_not_sent_again(collector, status, caplog):
    collector.answers = [status]
    assert not Sender(collector.url, {"authorization": "secret"}, 10).send(b"{}")
    assert len(collector.got["/"]) == 1
    assert f"status {status}" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_not_followed(collector, status):
    collector.answers = [status]
    assert not Sender(collector.url, {"authorization": "secret"}, 10).send(b"{}")
    assert list(collector.got) == ["/"]


def test_whoever_ends_waits_for_no_further_attempt(collector):
    collector.answers = [503] * 100
    sender = Sender(collector.url, {}, 60)
    sender.close()
    assert not sender.send(b"{}")
    assert len(collector.got["/"]) == 1


def test_headers_come_from_the_environment_where_none_are_given(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b, other = c ,broken")
    assert Sender(collector.url, {}, 10).send(b"{}")
    headers, _ = collector.got["/"][0]
    assert (headers["x-key"], headers["other"]) == ("a b", "c")
    assert headers_of("") == {}


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
    settings = TelemetrySettings(service="s", otlp="http://x:1", otlp_protocol="http/protobuf")

    with pytest.raises(NotInstalled, match=r"toka-performance\[otlp\]"):
        start_telemetry(settings, everywhere=False)

    assert logging.getLogger().handlers == handlers
