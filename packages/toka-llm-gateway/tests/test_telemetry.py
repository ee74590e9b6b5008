from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from toka.llm_gateway import ModelMessage, ModelRequest, Overloaded, Usage
from toka.llm_gateway.telemetry import ObservedModel
from toka.llm_gateway.testing import ScriptedModel, reply

pytestmark = pytest.mark.anyio

ASK = ModelRequest((ModelMessage.user("my-prompt"),), system="sys", temperature=0.5)
ANSWER = reply("my-answer", usage=Usage(10, 5, 3, 2))


class Seen:
    def __init__(self, script, **settings):
        self.spans = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meters = MeterProvider([self.reader])
        inner = ScriptedModel(script, provider="gemini", name="g-1")
        self.model = ObservedModel(inner, tracers=self.tracers, meters=self.meters, **settings)

    def close(self):
        self.tracers.shutdown()
        self.meters.shutdown()

    @property
    def span(self):
        [span] = self.spans.get_finished_spans()
        return span

    @property
    def metrics(self):
        data = self.reader.get_metrics_data()
        assert data is not None
        found = data.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: list(metric.data.data_points) for metric in found}


@pytest.fixture
def seen():
    made = []

    def make(script, **settings):
        made.append(Seen(script, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_is_a_span_by_the_conventions(seen, stream):
    watched = seen([ANSWER])
    if stream:
        _ = [event async for event in watched.model.stream(ASK)]
    else:
        await watched.model.complete(ASK)
    span = watched.span
    assert span.name == "chat g-1"
    assert span.kind.name == "CLIENT"
    attributes = dict(span.attributes)
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert attributes["gen_ai.request.model"] == "g-1"
    assert attributes["gen_ai.request.temperature"] == 0.5
    assert attributes["gen_ai.request.stream"] is stream
    assert attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert attributes["gen_ai.usage.input_tokens"] == 15
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 3
    assert ("gen_ai.response.time_to_first_chunk" in attributes) is stream
    assert "my-" not in str(attributes)
    metrics = watched.metrics
    assert metrics["gen_ai.client.operation.duration"][0].count == 1
    tokens = {
        p.attributes["gen_ai.token.type"]: p.sum for p in metrics["gen_ai.client.token.usage"]
    }
    assert tokens == {"input": 15, "output": 5}
    assert ("gen_ai.client.operation.time_to_first_chunk" in metrics) is stream


async def test_contents_are_recorded_only_when_switched_on(seen):
    watched = seen([ANSWER], contents=True)
    await watched.model.complete(ASK)
    attributes = watched.span.attributes
    assert "my-prompt" in attributes["gen_ai.input.messages"]
    assert "my-answer" in attributes["gen_ai.output.messages"]
    assert attributes["gen_ai.system_instructions"] == "sys"


async def test_a_failure_names_its_kind_and_no_contents(seen):
    watched = seen([Overloaded("my-complaint")])
    with pytest.raises(Overloaded):
        await watched.model.complete(ASK)
    span = watched.span
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == "llm.overloaded"
    assert "my-" not in span.to_json()
    [point] = watched.metrics["gen_ai.client.operation.duration"]
    assert point.attributes["error.type"] == "llm.overloaded"


def test_nobody_pays_for_telemetry_who_does_not_ask():
    code = "import sys, toka.llm_gateway; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "False"
