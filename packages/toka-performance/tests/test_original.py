"""What the first Toka's performance crate pretended, as behaviours that this one has.

It told constants for memory and load, threw recorded values away, drew its dashboard at random,
gave each child span a trace of its own, ignored sampling and cooldown, never ended an alert,
simulated its profiles and its benchmark, and had baselines that could not be set.
"""

import re
from pathlib import Path
from statistics import median

import pytest

import toka.performance
from toka.performance import (
    CPU,
    Above,
    Alerts,
    AlertState,
    Kind,
    Measure,
    Rule,
    Severity,
    bootstrap,
    compare,
    find_change,
    machine,
    observe_process,
    profile_cpu,
    profile_memory,
    report_capacity,
    take_turns,
    throughput,
)

SOURCES = sorted(Path(toka.performance.__path__[0]).glob("*.py"))


def told(text, name):
    """Return what a metric is told to be; a sum where it has labels."""
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    assert found, name
    return sum(map(float, found))


def test_what_is_recorded_is_what_is_told(observed):
    running, _, _ = observed()
    meter = running.meter("t")
    counter, gauge = meter.create_counter("orders"), meter.create_gauge("depth")
    histogram = meter.create_histogram("time", "s")
    counter.add(2)
    counter.add(5)
    gauge.set(3)
    gauge.set(4)
    for value in (0.5, 2.5):
        histogram.record(value)
    text = running.metrics_text()

    assert told(text, "orders_total") == 7
    assert told(text, "depth") == 4
    assert told(text, "time_seconds_sum") == 3.0
    assert told(text, "time_seconds_count") == 2


def test_memory_and_processor_time_are_no_constants(observed):
    running, _, _ = observed()
    end = observe_process(running.meter("t"))
    before = running.metrics_text()
    held = bytearray(40_000_000)
    held[::4096] = b"x" * len(held[::4096])
    sum(number * number for number in range(300_000))
    after = running.metrics_text()
    end()

    grown = told(after, "process_memory_usage_bytes") - told(before, "process_memory_usage_bytes")
    assert grown > 30_000_000
    assert told(after, "process_cpu_time_seconds_total") > told(
        before, "process_cpu_time_seconds_total"
    )
    assert told(before, "process_memory_usage_bytes") not in {50e6, 50 * 2**20}


def test_nothing_is_told_that_was_not_measured(observed):
    running, _, _ = observed()
    running.meter("t").create_counter("orders")

    assert "orders" not in running.metrics_text()


def test_chance_is_used_only_where_it_is_named_and_always_the_same():
    """Resampling needs chance; it comes from a fixed seed, so that no figure is made of it."""
    users = {path.name for path in SOURCES if re.search(r"(?i)\brandom\b", path.read_text())}
    assert users == {"_changes.py", "_statistics.py"}
    for name in users:
        text = (SOURCES[0].parent / name).read_text()
        assert re.findall(r"Random\(([^)]*)\)", text) == ["_SEED"]

    figures = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5]
    assert bootstrap(figures) == bootstrap(figures)
    assert find_change(figures) == find_change(figures)


def test_a_child_span_has_the_trace_of_its_parent(observed):
    running, spans, _ = observed()
    tracing = running.tracing("t")
    with tracing.span("parent"), tracing.span("child"):
        pass

    child, parent = spans.get_finished_spans()
    assert child.context.trace_id == parent.context.trace_id


def test_a_share_of_none_records_nothing(observed):
    running, spans, _ = observed(sample=0.0)
    with running.tracing("t").span("work"):
        pass

    assert spans.get_finished_spans() == ()


def test_an_alert_ends_and_its_cooldown_is_kept():
    alerts = Alerts([Rule("hot", "heat", Above(90, 80), cooldown=60)])
    states = [
        [event.state for event in alerts.observe("heat", value, at)]
        for value, at in ((95, 0), (70, 10), (95, 20), (70, 40), (95, 80))
    ]

    assert states == [[AlertState.ACTIVE], [AlertState.RESOLVED], [], [], [AlertState.ACTIVE]]


def test_a_benchmark_measures_the_work_that_it_is_given():
    def work(size):
        return lambda: sum(range(size))

    measure = Measure(
        "sums", "calls/s", {"ours": throughput(work(50), 100), "long": throughput(work(1000), 100)}
    )
    figures = take_turns(measure, print)

    assert median(figures["ours"]) > median(figures["long"])
    assert len(set(figures["ours"])) > 1


@pytest.mark.parametrize("baseline", [1000, 600])
def test_a_baseline_can_be_set(baseline):
    found = compare("m", Kind.THROUGHPUT, baseline, 700)

    assert (found.severity if found else None) == (Severity.MODERATE if baseline == 1000 else None)


def busy_with_numbers():
    return [str(number) for number in range(60_000)]


def test_profiles_name_what_did_the_work():
    with profile_cpu() as processor:
        busy_with_numbers()
    with profile_memory() as memory:
        held = busy_with_numbers()

    assert "busy_with_numbers" in processor.speedscope()
    assert memory.size > 2_000_000
    assert Path(__file__).name in memory.text()
    assert len(held) == 60_000


def test_a_forecast_comes_of_what_was_observed():
    day = 86_400.0
    rising = report_capacity(CPU, [(day * at, 0.30 + 0.01 * at) for at in range(30)])
    still = report_capacity(CPU, [(day * at, 0.30) for at in range(30)])

    assert rising.days_left == pytest.approx(26, abs=0.1)
    assert still.days_left is None
    assert still.exhausted is None


def test_every_fact_of_the_machine_is_read_from_it():
    facts = machine()

    assert f"model name\t: {facts['processor']}" in Path("/proc/cpuinfo").read_text()
    assert str(facts["memory"]) in Path("/proc/meminfo").read_text()
