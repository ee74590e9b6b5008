import re
from http.client import HTTPConnection

import pytest

LINE = re.compile(
    r'^[a-z_][a-z0-9_]*(\{([a-z_][a-z0-9_]*="(\\.|[^"\\])*",?)+\})? [-+0-9.eInfNa]+$', re.IGNORECASE
)


def test_names_units_and_values_are_told(observed):
    running, _, _ = observed()
    meter = running.meter("m")
    meter.create_counter("jobs.done", "{job}", "Jobs.").add(2, {"kind": "a"})
    meter.create_up_down_counter("queue.length").add(-3)
    meter.create_histogram("job.time", "s", explicit_bucket_boundaries_advisory=[1, 5]).record(3)
    meter.create_observable_gauge("load", [], "1")
    meter.create_counter("bytes.sent", "By").add(9)

    lines = running.metrics_text().splitlines()

    assert 'jobs_done_total{kind="a"} 2' in lines
    assert "# TYPE jobs_done_total counter" in lines
    assert "queue_length -3" in lines
    assert "bytes_sent_bytes_total 9" in lines
    assert [line for line in lines if line.startswith("job_time")] == [
        'job_time_seconds_bucket{le="1"} 0',
        'job_time_seconds_bucket{le="5"} 1',
        'job_time_seconds_bucket{le="+Inf"} 1',
        "job_time_seconds_sum 3",
        "job_time_seconds_count 1",
    ]


def test_a_hostile_label_stays_a_label(observed):
    running, _, _ = observed()
    hostile = 'a"} 1\nevil_total 666 \\'
    running.meter("m").create_counter("c").add(1, {"9 name-\n": hostile})

    lines = running.metrics_text().splitlines()

    samples = [line for line in lines if not line.startswith("#")]
    assert all(LINE.match(line) for line in samples)
    assert not any(line.startswith("evil") for line in lines)


def test_every_line_can_be_read_and_each_type_is_said_once(observed):
    running, _, _ = observed()
    histogram = running.meter("m").create_histogram("h", "ms", "Two\nlines.")
    for number in range(5):
        histogram.record(number, {"n": str(number)})

    lines = running.metrics_text().splitlines()

    assert all(line.startswith("# ") or LINE.match(line) for line in lines)
    assert sum(line.startswith("# TYPE h_milliseconds") for line in lines) == 1


@pytest.fixture
def scrape(observed):
    running, _, _ = observed(prometheus=("127.0.0.1", 0))
    counter = running.meter("m").create_counter("seen")

    def get(path):
        counter.add(1)
        connection = HTTPConnection("127.0.0.1", running.prometheus_port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer, body

    return get


def test_each_scrape_measures_anew(scrape):
    assert "seen_total 1" in scrape("/metrics")[1]
    answer, body = scrape("/metrics")

    assert "seen_total 2" in body
    assert answer.getheader("Content-Type").startswith("text/plain; version=0.0.4")


def test_nothing_else_is_served(scrape):
    answer, _ = scrape("/etc/passwd")

    assert answer.status == 404
