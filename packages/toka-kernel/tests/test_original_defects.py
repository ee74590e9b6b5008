"""The worst defects of the first Toka, each shown not to be one of this."""

from toka.kernel import EMPTY_STATE, decode_body, encode_body
from toka.kernel._event import KernelEvent
from toka.types import CompleteTask, ScheduleTask, SpawnAgent, TaskSpec, TerminateAgent


def test_defect_1_an_authenticated_caller_is_not_an_authorised_one(world, root, agent):
    """The first kernel read no permission: any genuine token did anything to any agent."""
    genuine = world.claims("guest", "fs:read:/public/**", f"task:schedule:{root}")
    for operation in (
        SpawnAgent(None, "mine"),
        SpawnAgent(root, "mine"),
        ScheduleTask(agent, TaskSpec("for another agent")),
        TerminateAgent(root, ""),
    ):
        assert world.refused(operation, genuine).code == "kernel.capability_denied"
    world.do(ScheduleTask(root, TaskSpec("what it may")), genuine)


def test_defect_4_the_state_is_a_function_of_events_that_can_be_kept(world, task):
    """The first kernel's events were never persisted, and its state came from nowhere else."""
    world.do(world.finish(world.step(task)))
    world.do(CompleteTask(task, 1))
    stored = [(event, event.kind, encode_body(event.body)) for event in world.log]
    state = EMPTY_STATE
    for header, kind, data in stored:
        event = KernelEvent(
            header.id,
            header.stream,
            decode_body(kind, data),
            header.time,
            header.parents,
            header.intent,
            header.actor,
            header.token,
        )
        state = world.kernel.evolve(state, event)
    assert state == world.state
    assert state.digest() == world.state.digest()
