"""Why an event happened, as the log tells it."""

import attrs
import pytest
from msgspec import Raw

from toka.kernel import StepCompleted
from toka.runtime import explain, find_event
from toka.types import (
    AgentId,
    FinishStep,
    Message,
    ScheduleTask,
    SpawnAgent,
    StartTask,
    StepIntent,
    TaskSpec,
    task_id,
)

pytestmark = pytest.mark.anyio

NEEDED = "fs:read:/data/a.txt"


@pytest.fixture
async def step(runtime, desk):
    """Return the event of a step that an agent has done under its own token."""
    boss = desk.token(subject="boss")
    granted = ("agent:act:**", "fs:read:/data/**")
    spawned = await runtime.submit(Message(boss, SpawnAgent(None, "a", granted)))
    agent = AgentId(spawned.events[-1].stream)
    await runtime.submit(Message(boss, ScheduleTask(agent, TaskSpec("work"))))
    task = task_id(agent, 0)
    own = desk.token("agent:act:**", "fs:read:/data/**", subject=agent)
    await runtime.submit(Message(own, StartTask(task, "here", 10**9)))
    intent = StepIntent(task, 1, "root", 0, "read", "read_only", Raw(b"{}"), (NEEDED,))
    done = await runtime.submit(Message(own, FinishStep(intent, 1)))
    (event,) = [event for event in done.events if isinstance(event.body, StepCompleted)]
    return event


async def test_tells_causes_tokens_and_what_allowed_a_step(runtime, step):
    found = await find_event(runtime.store, step.id)
    assert found is not None
    told = await explain(runtime.store, found)
    assert told.event.event == step
    assert [cause.event.body.kind for cause in told.causes] == [
        "task.started.v1",
        "task.scheduled.v1",
        "agent.spawned.v1",
    ]
    assert {token.subject for token in told.tokens.values()} == {"boss", step.stream}
    assert told.grants[step.token].event.body.kind == "agent.spawned.v1"
    (allowed,) = told.allowed_by(step)
    assert (allowed.needed, allowed.granting) == (NEEDED, "fs:read:/data/**")
    assert told.allowed_by(told.causes[0].event) == ()


async def test_tokens_that_are_known_are_not_looked_for(runtime, step):
    found = await find_event(runtime.store, step.id)
    assert found is not None
    changed = attrs.evolve(runtime.state.tokens[step.token], vault="elsewhere")
    told = await explain(runtime.store, found, known={step.token: changed})
    assert told.tokens[step.token].vault == "elsewhere"


@pytest.mark.parametrize("name", ["0", "999", "nonsense", "01JD3X8ZK5Q6T7V8W9XAYBZCDE", "-1", ""])
async def test_what_names_nothing_is_not_found(runtime, step, name):
    assert await find_event(runtime.store, name) is None
    assert step


async def test_an_event_is_found_by_its_position(runtime, step):
    found = await find_event(runtime.store, str(runtime.position))
    assert found is not None
    assert found.id == step.id
