"""What has read from outside marks what it sets going."""

import pytest

from toka.types import ScheduleTask, SpawnAgent, StartStep, StartTask, TaskSpec, task_id


@pytest.fixture
def reader(world, agent, task):
    """The agent's own token, after one of its tasks has read a page."""
    world.do(world.finish(world.step(task), taint=("http:example.org",)))
    return world.claims(agent, f"task:schedule:{agent}/*", "agent:spawn:**", "agent:act:**")


def begin(world, agent, number):
    task = task_id(agent, number)
    world.do(StartTask(task, "worker", 60_000_000_000))
    return task


def test_a_task_that_a_marked_agent_schedules_is_marked(world, agent, reader):
    kid = world.child(agent, "kid")
    event = world.do(ScheduleTask(kid, TaskSpec("do it")), reader)
    task = begin(world, kid, event.body.task)
    assert world.state.task(task).taint == (f"agent:{agent}",)
    guarded = world.claims(kid, f"agent:act:{kid}", untainted=("fs:read:/data/x",))
    step = world.step(task, requires=("fs:read:/data/x",))
    assert world.refused(StartStep(step), guarded).code == "kernel.tainted"
    assert world.state.agent(kid).tainted
    assert world.replayed() == world.state


def test_an_agent_that_a_marked_agent_spawns_is_marked(world, agent, reader):
    kid = world.do(SpawnAgent(agent, "kid"), reader).stream
    assert world.state.agent(kid).tainted
    guarded = world.claims(kid, untainted=(f"agent:spawn:{kid}/*",))
    assert world.refused(SpawnAgent(kid, "deep"), guarded).code == "kernel.tainted"


@pytest.mark.usefixtures("reader")
def test_a_person_marks_nothing(world, agent):
    kid = world.child(agent, "kid")
    event = world.do(ScheduleTask(kid, TaskSpec("do it")))
    assert world.state.task(begin(world, kid, event.body.task)).taint == ()
    assert not world.state.agent(kid).tainted
