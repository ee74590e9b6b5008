"""The lives of agents and their families."""

import msgspec
import pytest

from toka.kernel import AGENT_TRANSITIONS, ENDED, Rejection
from toka.types import (
    MAX_AGENT_DEPTH,
    AgentId,
    Budget,
    CancelTask,
    CompleteTask,
    EmitObservation,
    FailTask,
    Failure,
    FinishAgent,
    RestartAgent,
    ResumeAgent,
    RetryTask,
    ScheduleTask,
    SpawnAgent,
    StartStep,
    StartTask,
    SuspendAgent,
    TaskId,
    TaskSpec,
    TerminateAgent,
)

FAILURE = Failure("test.failed", "It failed.")


def phase(world, agent):
    return world.state.agent(agent).phase


def kinds(events):
    return [event.kind for event in events]


def test_an_agent_goes_through_the_phases_that_its_work_gives_it(world, root):
    agent = world.child(root, "worker")
    assert phase(world, agent) == "configured"
    task = world.queued(agent)
    assert phase(world, agent) == "ready"
    world.do(StartTask(task, "me", 1_000))
    assert phase(world, agent) == "running"
    world.do(CompleteTask(task, 1))
    assert phase(world, agent) == "waiting"
    world.do(FinishAgent(agent))
    assert phase(world, agent) == "completed"


def test_a_retry_makes_its_agent_ready_again(world, agent, task):
    world.do(RetryTask(task, 1, FAILURE, 0))
    assert phase(world, agent) == "ready"


@pytest.mark.parametrize("state", AGENT_TRANSITIONS)
def test_ended_agents_can_only_be_restarted(state):
    assert (set(AGENT_TRANSITIONS[state]) == {"restart"}) == (state in ENDED)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: SpawnAgent(a, "kid"),
        lambda a: SuspendAgent(a, ""),
        ResumeAgent,
        FinishAgent,
        lambda a: FinishAgent(a, FAILURE),
        lambda a: TerminateAgent(a, ""),
        lambda a: ScheduleTask(a, TaskSpec("x")),
        lambda a: EmitObservation(a, "x", msgspec.Raw(b"1")),
    ],
    ids=["spawn", "suspend", "resume", "complete", "fail", "terminate", "schedule", "observe"],
)
def test_an_ended_agent_does_nothing(world, agent, make):
    world.do(FinishAgent(agent))
    refused = world.refused(make(agent))
    assert refused.code == "kernel.wrong_state"
    assert refused.details["state"] == "completed"


@pytest.mark.parametrize(
    "make", [ResumeAgent, lambda a: RestartAgent(a, "")], ids=["resume", "restart"]
)
def test_an_agent_that_lives_is_neither_resumed_nor_restarted(world, agent, make):
    assert world.refused(make(agent)).code == "kernel.wrong_state"


def test_a_child_gets_no_permission_that_the_caller_lacks(world, root):
    caller = world.claims("somebody", "agent:spawn:**", "fs:read:/data/*", untainted=("a:b:c",))
    world.do(SpawnAgent(root, "narrow", ("fs:read:/data/x",), untainted=("a:b:c",)), caller)
    for wide in ("fs:read:/data/**", "a:b:c"):
        refused = world.refused(SpawnAgent(root, "wide", (wide,)), caller)
        assert (refused.code, refused.needed) == ("kernel.capability_denied", wide)
    refused = world.refused(SpawnAgent(root, "wide", untainted=("a:b:d",)), caller)
    assert refused.needed == "a:b:d"


def test_a_permission_outside_the_grammar_is_refused(world, root):
    refused = world.refused(SpawnAgent(root, "kid", ("filesystem-read",)))
    assert refused.code == "kernel.malformed_request"


def test_names_are_unique_among_siblings_even_after_the_end(world, root, agent):
    assert world.refused(SpawnAgent(root, "inventory")).code == "kernel.duplicate_name"
    world.do(FinishAgent(agent))
    assert world.refused(SpawnAgent(root, "inventory")).code == "kernel.duplicate_name"
    world.child(agent_of_other := world.root(), "inventory")
    assert agent_of_other != root


def test_families_are_not_deeper_than_the_limit(world, root):
    agent = root
    for generation in range(1, MAX_AGENT_DEPTH):
        agent = world.child(agent, f"g{generation}")
    assert world.refused(SpawnAgent(agent, "deeper")).code == "kernel.limit_exceeded"


def test_a_child_of_nobody_is_refused(world):
    orphan = AgentId("01JX9999999999999999999999")
    assert world.refused(SpawnAgent(orphan, "kid")).code == "kernel.unknown_agent"


def test_a_suspended_agent_starts_nothing(world, agent, task):
    waiting = world.queued(agent)
    world.do(SuspendAgent(agent, "wait"))
    assert world.refused(StartTask(waiting, "me", 1_000)).code == "kernel.wrong_state"
    assert world.refused(StartStep(world.step(task))).code == "kernel.wrong_state"
    world.do(ScheduleTask(agent, TaskSpec("later")))
    assert phase(world, agent) == "suspended"
    world.do(ResumeAgent(agent))
    assert phase(world, agent) == "running"
    world.do(StartTask(waiting, "me", 1_000))


def test_what_began_before_a_suspension_may_still_be_recorded(world, agent, task):
    began = world.now
    world.now += 5
    world.do(SuspendAgent(agent, "wait"))
    world.now += 5
    late = world.finish(world.step(task))
    assert world.refused(late).code == "kernel.wrong_state"
    early = world.finish(world.step(task))
    world.do(type(early)(early.step, began))


@pytest.mark.usefixtures("task")
def test_an_agent_with_unfinished_work_cannot_be_completed(world, root, agent):
    refused = world.refused(FinishAgent(agent))
    assert (refused.code, refused.details["tasks"]) == ("kernel.wrong_state", 1)
    assert world.refused(FinishAgent(root)).details["children"] == 1


@pytest.mark.usefixtures("task")
def test_termination_ends_everything_below_in_one_decision(world, root, agent):
    grandchild = world.child(agent, "deep")
    waiting = world.queued(grandchild)
    sibling = world.child(root, "sibling")
    events = world.ask(TerminateAgent(agent, "enough"))
    assert kinds(events) == [
        "task.cancelled.v1",
        "agent.terminated.v1",
        "task.cancelled.v1",
        "agent.terminated.v1",
    ]
    assert [event.stream for event in events] == [grandchild, grandchild, agent, agent]
    assert events[1].body.origin == agent
    assert phase(world, grandchild) == phase(world, agent) == "terminated"
    assert phase(world, sibling) == "configured"
    assert world.state.task(waiting).phase == "cancelled"


@pytest.mark.usefixtures("task")
def test_an_agent_that_fails_takes_what_is_below_along(world, root, agent):
    grandchild = world.child(agent, "deep")
    world.do(FinishAgent(agent, FAILURE))
    assert phase(world, agent) == "failed"
    assert phase(world, grandchild) == "terminated"
    assert phase(world, root) == "configured"


@pytest.mark.usefixtures("task")
def test_the_family_leaves_the_state_with_its_root(world, root, agent):
    world.do(TerminateAgent(root, "enough"))
    assert len(world.state.families) == 0
    assert world.refused(RestartAgent(agent, "")).code == "kernel.unknown_agent"


def test_memory_does_not_grow_with_families_that_have_ended(world):
    world.root()
    world.do(TerminateAgent(AgentId(world.log[-1].stream), ""))
    before = len(world.state.digest() + msgspec.json.encode(world.state.agents()))
    for _ in range(20):
        world.running(world.child(root := world.root(), "kid"))
        world.do(TerminateAgent(root, "enough"))
    assert len(world.state.digest() + msgspec.json.encode(world.state.agents())) == before


def test_a_restart_revives_failed_and_cancelled_tasks_from_their_beginning(world, agent):
    failed, done, waiting = world.running(agent), world.running(agent), world.queued(agent)
    world.do(world.finish(world.step(failed)))
    world.do(FailTask(failed, 1, FAILURE))
    world.do(CompleteTask(done, 1))
    world.do(FinishAgent(agent, FAILURE))
    world.do(RestartAgent(agent, "again"))
    assert phase(world, agent) == "ready"
    assert list(world.state.tasks(agent)) == [failed, waiting]
    revived = world.state.task(failed)
    assert (revived.phase, revived.attempt, len(revived.paths)) == ("queued", 2, 0)
    world.do(StartTask(failed, "me", 1_000))
    assert world.state.task(failed).fence == 2


def test_a_child_of_an_ended_parent_cannot_be_restarted(world, agent):
    grandchild = world.child(agent, "deep")
    world.do(TerminateAgent(agent, ""))
    assert world.refused(RestartAgent(grandchild, "")).code == "kernel.wrong_state"
    world.do(RestartAgent(agent, ""))
    world.do(RestartAgent(grandchild, ""))


def test_causes_lead_from_a_child_back_to_its_root(world, root, agent):
    spawned = {event.stream: event for event in world.log if event.kind == "agent.spawned.v1"}
    assert spawned[agent].parents == (spawned[root].id,)
    assert spawned[root].parents == ()
    assert {event.intent for event in spawned.values()} == {root}


def test_a_cancelled_task_is_not_revived(world, agent, task):
    world.do(CancelTask(task, "not wanted"))
    world.do(TerminateAgent(agent, ""))
    world.do(RestartAgent(agent, ""))
    assert world.state.tasks(agent) == {}
    assert world.refused(CompleteTask(task, 1)).code == "kernel.wrong_state"


def test_an_agent_is_found_by_path_and_listed_in_order(world, root, agent):
    assert list(world.state.agents()) == [root, agent]
    assert world.state.agent(AgentId("nobody")) is None
    assert world.state.task(TaskId("nobody#0")) is None
    assert world.state.tasks(AgentId("nobody")) == {}


def test_an_observation_is_recorded_and_changes_no_state(world, agent):
    before = world.state
    event = world.do(EmitObservation(agent, "files", msgspec.Raw(b'{"n":3}')))
    assert bytes(event.body.data) == b'{"n":3}'
    assert world.state == before


def test_a_budget_of_the_root_is_what_it_was_given(world):
    root = world.root(budget=Budget(money=5))
    assert world.state.agent(root).account.available == (5, None, None)
    assert not isinstance(world.ask(TerminateAgent(root, "")), Rejection)
