"""Status, and figures that were measured."""

import re

import pytest

pytestmark = pytest.mark.anyio


async def test_status_follows_the_work(served):
    _, idle, _ = await served.ask("/status")
    assert idle["completed"]
    assert idle["current_phase"] == "idle"
    await served.begin("asking.yaml")
    await served.until("/v1/approvals", lambda body: body["approvals"])
    _, busy, _ = await served.ask("/status")
    assert not busy["completed"]
    assert busy["current_phase"] == "running"
    assert busy["spawned_agents"] == 1
    assert busy["progress"] == 0
    assert busy["session_id"] == idle["session_id"] != ""


async def test_metrics_count_what_happened(served):
    await served.ended(await served.begin("hello.yaml"))
    await served.ask("/nothing/at/all")
    _, text, answer = await served.ask("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values['toka_runs{state="completed"}'] == "1"
    assert values["toka_steps_total"] == "1"
    assert int(values["toka_log_position"]) == served.runtime.position
    assert values["toka_projection_lag_events"] == "0"
    assert values['toka_http_requests_total{method="POST",route="/v1/runs",status="201"}'] == "1"
    assert values['toka_http_requests_total{method="other",route="other",status="404"}'] == "1"
    assert values['toka_http_request_seconds_count{route="/v1/runs/{run}"}'] != "0"
    assert float(values["process_cpu_seconds_total"]) > 0


async def test_metrics_are_in_the_exposition_format(served):
    await served.ask("/v1/runs")
    _, text, _ = await served.ask("/metrics")
    sample = re.compile(
        r'[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? -?[0-9.]+(e[+-][0-9]+)?'
    )
    families: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in families
            families.add(name)
        elif not line.startswith("# HELP "):
            assert sample.fullmatch(line), line
            assert line.startswith(tuple(families)), line
