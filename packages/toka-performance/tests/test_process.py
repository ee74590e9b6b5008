import gc
import os
import time

import pytest

from toka.performance import observe_machine, observe_process


def value(text, start):
    return [float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start)]


@pytest.fixture
def running(observed):
    running, _, _ = observed()
    stop = observe_process(running.meter("m"))
    observe_machine(running.meter("m"))
    yield running
    stop()


def test_processor_time_grows_with_work(running):
    before = sum(value(running.metrics_text(), "process_cpu_time_seconds_total"))
    limit = time.process_time() + 0.05
    while time.process_time() < limit:
        pass

    after = sum(value(running.metrics_text(), "process_cpu_time_seconds_total"))
    assert after - before >= 0.03
    assert after == pytest.approx(time.process_time(), abs=0.1)


def test_memory_grows_with_what_is_held(running):
    before = value(running.metrics_text(), "process_memory_usage_bytes")[0]
    held = bytearray(os.urandom(1 << 20) * 40)

    after = value(running.metrics_text(), "process_memory_usage_bytes")[0]
    assert after - before > 0.8 * len(held)


def test_an_open_file_is_counted(running):
    name = "process_unix_file_descriptor_count"
    before = value(running.metrics_text(), name)[0]
    reader, writer = os.pipe()
    after = value(running.metrics_text(), name)[0]
    os.close(reader)
    os.close(writer)

    assert after == before + 2


def test_collections_are_counted_and_timed(running):
    name = 'cpython_gc_collections_total{cpython_gc_generation="2"}'
    before = value(running.metrics_text(), name)[0]
    gc.collect()
    text = running.metrics_text()

    assert value(text, name)[0] == before + 1
    assert value(text, "toka_gc_pause_seconds_total")[0] > 0
    assert value(text, "toka_gc_longest_pause_seconds")[0] > 0


def test_timing_ends_when_it_is_ended(observed):
    running, _, _ = observed()
    before = list(gc.callbacks)
    stop = observe_process(running.meter("m"))
    assert len(gc.callbacks) == len(before) + 1
    stop()

    assert gc.callbacks == before


def test_shares_of_the_machine_are_shares(running):
    text = running.metrics_text()

    for name in ("system_memory_utilization_ratio", "system_filesystem_utilization_ratio"):
        assert 0 < value(text, name)[0] <= 1
    assert len(value(text, "system_cpu_time_seconds_total")) == 3


def test_what_cannot_be_told_is_absent(observed, tmp_path):
    running, _, _ = observed()
    observe_machine(running.meter("m"), disk=str(tmp_path / "gone"))

    assert value(running.metrics_text(), "system_filesystem") == []
    assert value(running.metrics_text(), "system_memory") != []
