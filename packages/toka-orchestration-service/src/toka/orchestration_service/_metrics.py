"""The handler of metrics, in Prometheus' text format 0.0.4: what was measured, and nothing else."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Final

from aiohttp import web

from toka.orchestration_service._meter import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.orchestration_service._call import Call
    from toka.orchestration_service._meter import Meter
    from toka.orchestration_service._projection import Projection
    from toka.orchestration_service._service import Service

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """Text in the format that Prometheus reads."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, text: str) -> None:
        """Begin a metric."""
        self._lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]

    def sample(self, name: str, value: float, **labels: str) -> None:
        """Add a value."""
        pairs = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        self._lines.append(f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}")

    def single(self, name: str, kind: str, text: str, value: float) -> None:
        """Add a metric that has one value."""
        self.family(name, kind, text)
        self.sample(name, value)

    def counts(self, name: str, label: str, text: str, counts: Mapping[str, int]) -> None:
        """Add a gauge with one label."""
        self.family(name, "gauge", text)
        for key, value in sorted(counts.items()):
            self.sample(name, value, **{label: key})

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


async def metrics(call: Call) -> web.Response:
    """Return the figures of the service, the log and the process."""
    service = call.service
    text = Exposition()
    text.family("toka_build_info", "gauge", "The version that runs.")
    text.sample("toka_build_info", 1, version=service.version)
    text.single("toka_uptime_seconds", "gauge", "Since the service was opened.", service.uptime)
    _write_work(text, service.projection)
    await _write_log(text, service)
    _write_requests(text, service.meter)
    _write_process(text)
    further = service.settings.metrics() if service.settings.metrics else ""
    body = (str(text) + further).encode()
    return web.Response(body=body, headers={"Content-Type": _CONTENT_TYPE})


def _write_work(text: Exposition, projection: Projection) -> None:
    totals = projection.totals()
    text.counts("toka_runs", "state", "Runs by state.", totals.runs)
    text.counts("toka_agents", "state", "Agents by state.", totals.agents)
    text.counts("toka_tasks", "state", "Tasks by state.", totals.tasks)
    waiting = sum(len(run.approvals) for run in projection.runs.by_id.values())
    text.single("toka_approvals_waiting", "gauge", "Questions that wait for a person.", waiting)
    text.single("toka_steps_total", "counter", "Steps that have an outcome.", totals.steps)
    money = totals.spent.money / 1_000_000
    text.single("toka_spent_dollars_total", "counter", "Money spent, as recorded.", money)
    text.single("toka_spent_tokens_total", "counter", "Model tokens used.", totals.spent.tokens)
    text.single("toka_spent_calls_total", "counter", "Calls that counted.", totals.spent.calls)


async def _write_log(text: Exposition, service: Service) -> None:
    position = service.runtime.position
    stats = await service.runtime.store.stats()
    behind = position - service.projection.runs.position
    text.single("toka_log_position", "gauge", "Of the last committed event.", position)
    text.single("toka_log_bytes", "gauge", "What the log takes on disk.", stats.stored_bytes)
    text.single("toka_log_commits_total", "counter", "Commits of this process.", stats.commits)
    text.single("toka_projection_lag_events", "gauge", "Committed, not yet shown.", behind)
    active = len(service.executions.active)
    text.single("toka_runs_executing", "gauge", "Runs that this process goes on with.", active)


def _write_requests(text: Exposition, meter: Meter) -> None:
    text.single("toka_event_streams", "gauge", "Streams of events that are open.", meter.streams)
    text.family("toka_http_requests_total", "counter", "Requests that were answered.")
    for (method, route, status), count in sorted(meter.requests.items()):
        labels = {"method": method, "route": route, "status": str(status)}
        text.sample("toka_http_requests_total", count, **labels)
    name = "toka_http_request_seconds"
    text.family(name, "histogram", "Time until the answer was complete.")
    for route, durations in sorted(meter.durations.items()):
        for bound, count in zip(BUCKETS, durations.within, strict=True):
            text.sample(f"{name}_bucket", count, route=route, le=f"{bound:g}")
        text.sample(f"{name}_bucket", durations.count, route=route, le="+Inf")
        text.sample(f"{name}_sum", durations.total, route=route)
        text.sample(f"{name}_count", durations.count, route=route)


def _write_process(text: Exposition) -> None:
    times = os.times()
    cpu = times.user + times.system
    text.single("process_cpu_seconds_total", "counter", "User and system time.", cpu)
    # Linux counts this in KiB, and no other system has been tried.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    text.single("process_peak_resident_bytes", "gauge", "Most memory ever resident.", peak)
