"""The seam of Toka's own packages, with OpenTelemetry behind it."""

import pytest

from toka.performance import PerformanceError

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_span_is_within_the_one_that_is_open(observed):
    running, spans, _ = observed()
    tracing = running.tracing("t")
    with tracing.span("outer", {"a": 1}, kind="server"):
        outer = tracing.current
        with tracing.span("inner"):
            tracing.annotate({"b": "two"})

    assert tracing.current == ""
    inner, above = spans.get_finished_spans()
    assert inner.parent.span_id == above.context.span_id
    assert outer.startswith(f"00-{above.context.trace_id:032x}-{above.context.span_id:016x}-")
    assert (dict(above.attributes), dict(inner.attributes)) == ({"a": 1}, {"b": "two"})
    assert (above.kind.name, inner.kind.name) == ("SERVER", "INTERNAL")


def test_a_stated_parent_counts_for_more_than_the_open_span(observed):
    running, spans, _ = observed()
    tracing = running.tracing("t")
    with tracing.span("open"), tracing.span("elsewhere", parent=PARENT):
        pass

    elsewhere = spans.get_finished_spans()[0]
    assert f"{elsewhere.context.trace_id:032x}" in PARENT
    assert f"{elsewhere.parent.span_id:016x}" in PARENT


@pytest.mark.parametrize("malformed", ["", "00-0-0-01", "nonsense", PARENT + "-more", "\0"])
def test_a_malformed_parent_begins_a_trace(observed, malformed):
    running, spans, _ = observed()
    with running.tracing("t").span("work", parent=malformed):
        pass

    assert spans.get_finished_spans()[0].parent is None


def test_a_failure_is_told_by_its_code_and_never_by_its_text(observed):
    running, spans, _ = observed()
    tracing = running.tracing("t")
    with pytest.raises(PerformanceError), tracing.span("ours"):
        raise PerformanceError("confidential")
    with pytest.raises(KeyError), tracing.span("theirs"):
        raise KeyError("confidential")

    ours, theirs = spans.get_finished_spans()
    assert not ours.status.is_ok
    assert ours.attributes["error.type"] == "performance.error"
    assert theirs.attributes["error.type"] == "KeyError"
    assert "confidential" not in ours.to_json() + theirs.to_json()


def test_what_is_not_sampled_is_not_handed_on(observed):
    running, _, _ = observed(sample=0.0)
    tracing = running.tracing("t")
    with tracing.span("work"):
        assert tracing.current == ""


def test_a_child_process_is_told_of_the_open_span_and_of_nothing_else(observed, monkeypatch):
    monkeypatch.setenv("SECRET", "s")
    running, _, _ = observed()
    tracing = running.tracing("t")
    with tracing.span("work"):
        assert tracing.environment() == {"TRACEPARENT": tracing.current}
    assert tracing.environment() == {}
