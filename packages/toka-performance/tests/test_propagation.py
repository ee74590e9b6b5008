import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

from toka.performance import (
    child_environment,
    continued_trace,
    extract_trace,
    inject_trace,
    parent_trace,
)

OLD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def current():
    return trace.get_current_span().get_span_context()


def test_a_message_takes_the_trace_along(observed):
    running, spans, _ = observed()
    message = {"kind": "greeting"}
    with running.tracer("t").start_as_current_span("sender"):
        inject_trace(message)
    with continued_trace(message), running.tracer("t").start_as_current_span("receiver"):
        pass

    sender, receiver = spans.get_finished_spans()
    assert receiver.context.trace_id == sender.context.trace_id
    assert receiver.parent.span_id == sender.context.span_id
    assert not current().is_valid


def test_what_is_not_sampled_there_is_not_sampled_here(observed):
    running, spans, _ = observed(sample=1.0)
    with continued_trace({"traceparent": OLD[:-1] + "0"}):
        running.tracer("t").start_span("s").end()

    assert spans.get_finished_spans() == ()


def test_what_is_sampled_there_is_sampled_here(observed):
    running, spans, _ = observed(sample=0.0)
    with continued_trace({"traceparent": OLD}):
        running.tracer("t").start_span("s").end()

    assert len(spans.get_finished_spans()) == 1


def test_a_child_process_goes_on_with_the_trace(observed):
    running, _, _ = observed()
    program = (
        "from opentelemetry import trace\n"
        "from toka.performance import continued_trace, parent_trace\n"
        "with continued_trace(parent_trace()):\n"
        "    print(f'{trace.get_current_span().get_span_context().trace_id:032x}')\n"
    )
    with running.tracer("t").start_as_current_span("parent") as span:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", program],
            env=child_environment(),
            capture_output=True,
            text=True,
            check=True,
        )

    assert done.stdout.strip() == f"{span.get_span_context().trace_id:032x}"


def test_a_trace_that_has_ended_is_not_handed_on():
    given_environment = {"TRACEPARENT": OLD, "tracestate": "a=b", "PATH": "/bin"}

    assert child_environment(given_environment) == {"PATH": "/bin"}


def test_nothing_is_added_where_there_is_no_trace():
    carrier = {}
    inject_trace(carrier)

    assert carrier == {}


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "00",
        OLD.upper(),
        OLD.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        "ff" + OLD[2:],
    ],
)
def test_a_malformed_parent_begins_a_new_trace(bad):
    with continued_trace({"traceparent": bad}):
        assert not current().is_valid


@given(st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage"]), st.text()))
def test_no_carrier_makes_it_fail(carrier):
    extract_trace(carrier)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_every_identity_survives_a_message_and_an_environment(trace_id, span_id):
    parent = f"00-{trace_id:032x}-{span_id:016x}-01"
    with continued_trace({"traceparent": parent}):
        carrier = {}
        inject_trace(carrier)
        environment = child_environment({})

    assert carrier == {"traceparent": parent}
    assert parent_trace(environment) == carrier
