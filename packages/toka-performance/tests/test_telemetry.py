import logging
import subprocess
import sys
import threading

import pytest

from toka.performance import TelemetryError, TelemetrySettings, telemetry

QUIET = logging.getLogger("toka.test")


def run(program):
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )


def test_a_child_span_belongs_to_the_trace_of_its_parent(observed):
    running, spans, _ = observed()
    tracer = running.tracer("t")
    with tracer.start_as_current_span("parent"), tracer.start_as_current_span("child"):
        pass

    child, parent = spans.get_finished_spans()
    assert child.context.trace_id == parent.context.trace_id
    assert child.parent.span_id == parent.context.span_id
    assert parent.parent is None


def test_the_resource_says_who_speaks(observed):
    running, spans, _ = observed(version="1.2", attributes={"deployment.environment.name": "ci"})
    running.tracer("t").start_span("s").end()

    facts = spans.get_finished_spans()[0].resource.attributes
    assert (facts["service.name"], facts["service.version"]) == ("tested", "1.2")
    assert facts["deployment.environment.name"] == "ci"
    assert facts["service.instance.id"]


def test_a_share_of_traces_is_recorded_and_whole_ones(observed):
    running, spans, _ = observed(sample=0.5)
    tracer = running.tracer("t")
    for _ in range(400):
        with tracer.start_as_current_span("parent"), tracer.start_as_current_span("child"):
            pass

    traces = [span.context.trace_id for span in spans.get_finished_spans()]
    assert 120 < len(set(traces)) < 280
    assert len(traces) == 2 * len(set(traces))


def test_nothing_is_recorded_at_a_share_of_none(observed):
    running, spans, _ = observed(sample=0.0)
    running.tracer("t").start_span("s").end()

    assert spans.get_finished_spans() == ()


def test_a_log_record_names_the_span_it_was_written_in(observed):
    running, spans, logs = observed()
    with running.tracer("t").start_as_current_span("work"):
        QUIET.warning("disk %s is full", "a")

    record = logs.get_finished_logs()[0].log_record
    span = spans.get_finished_spans()[0]
    assert record.body == "disk a is full"
    assert record.severity_text == "WARNING"
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)


def test_an_error_in_a_log_record_is_told(observed):
    _, _, logs = observed()
    try:
        raise KeyError("lost")  # noqa: TRY301 - an error to log
    except KeyError:
        QUIET.exception("failed")

    attributes = logs.get_finished_logs()[0].log_record.attributes
    assert attributes["exception.type"] == "KeyError"
    assert "lost" in attributes["exception.stacktrace"]


def test_records_below_the_level_and_of_the_exporter_itself_are_left_out(observed):
    _, _, logs = observed(log_level=logging.ERROR)
    QUIET.warning("small")
    logging.getLogger("opentelemetry.sdk").error("about myself")

    assert logs.get_finished_logs() == ()


def test_after_the_end_nothing_is_left(observed):
    before = {thread.name for thread in threading.enumerate()}
    handlers = list(logging.getLogger().handlers)
    running, spans, _ = observed(prometheus=("127.0.0.1", 0))
    assert running.prometheus_port

    running.stop()
    running.stop()

    assert {thread.name for thread in threading.enumerate()} == before
    assert logging.getLogger().handlers == handlers
    assert running.log_handler is None
    running.tracer("t").start_span("s").end()
    assert spans.get_finished_spans() == ()


def test_it_becomes_what_the_api_uses_and_only_once():
    program = """
from opentelemetry import metrics, trace
from toka.performance import TelemetryError, TelemetrySettings, telemetry
early = trace.get_tracer("early")
with telemetry(TelemetrySettings(service="s")) as running:
    assert early.start_span("x").is_recording()
    metrics.get_meter("m").create_counter("seen").add(3)
    assert "seen_total 3" in running.metrics_text()
assert not trace.get_tracer("late").start_span("x").is_recording()
try:
    with telemetry(TelemetrySettings(service="s")):
        raise SystemExit("twice")
except TelemetryError as error:
    print(error.code)
"""
    done = run(program)

    assert (done.returncode, done.stdout.strip()) == (0, "performance.telemetry"), done.stderr


def test_importing_the_package_does_not_import_the_sdk():
    done = run(
        "import sys, toka.performance\n"
        "print([m for m in ('opentelemetry', 'psutil', 'pyinstrument', 'requests') "
        "if m in sys.modules])"
    )

    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        {"sample": 1.1},
        {"sample": -0.1},
        {"sample": float("nan")},
        {"interval": 0},
        {"timeout": -1},
        {"otlp": "localhost:4318"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(TelemetryError):
        TelemetrySettings(service="s", **wrong)


def test_headers_are_never_shown():
    settings = TelemetrySettings(service="s", otlp_headers={"authorization": "Bearer s3cret"})

    assert "s3cret" not in repr(settings)


def test_the_variables_of_opentelemetry_are_honoured():
    said = {
        "OTEL_SERVICE_NAME": "mine",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
    }
    settings = TelemetrySettings.from_environment("s", environment=said)
    assert (settings.service, settings.otlp, settings.sample) == (
        "mine",
        "http://collector:4318",
        0.25,
    )

    disabled = TelemetrySettings.from_environment(
        "s", environment=said | {"OTEL_SDK_DISABLED": "TRUE"}
    )
    assert (disabled.otlp, disabled.sample) == (None, 0)
    with pytest.raises(TelemetryError, match="no number"):
        TelemetrySettings.from_environment("s", environment={"OTEL_TRACES_SAMPLER_ARG": "half"})


def test_a_port_that_is_taken_is_said_and_leaves_nothing(observed):
    running, _, _ = observed(prometheus=("127.0.0.1", 0))
    before = list(logging.getLogger().handlers)
    settings = TelemetrySettings(service="s", prometheus=("127.0.0.1", running.prometheus_port))

    with pytest.raises(TelemetryError, match="cannot be served"), telemetry(settings):
        pass

    assert logging.getLogger().handlers == before
