"""What is kept of answers, and for how long."""

import pytest

from toka.runtime import Rejected
from toka.runtime._idempotency import Answer, AnswerWindow
from toka.types import (
    EMPTY_OBJECT,
    AgentId,
    FinishAgent,
    Message,
    ScheduleTask,
    SendMessage,
    SpawnAgent,
    TaskSpec,
    TerminateAgent,
    root_of,
)

pytestmark = pytest.mark.anyio


async def _family(runtime, desk, number: int = 0) -> tuple[AgentId, str]:
    """Return a root agent, and its own token."""
    spawn = SpawnAgent(None, "root", ("agent:*:**", "task:*:**"))
    spawned = await runtime.submit(Message(desk.token(), spawn, f"begin {number}"))
    root = AgentId(spawned.events[-1].stream)
    return root, desk.token(subject=root)


def _scheduling(root: AgentId, token: str) -> Message:
    return Message(token, ScheduleTask(root, TaskSpec("work")), "schedule")


async def test_a_family_that_has_ended_leaves_no_answers_behind(opener, desk) -> None:
    async with opener() as runtime:
        for number in range(20):
            root, token = await _family(runtime, desk, number)
            message = _scheduling(root, token)
            assert await runtime.submit(message) == await runtime.submit(message)
            await runtime.submit(Message(token, TerminateAgent(root, "enough")))
            with pytest.raises(Rejected, match="agent"):
                await runtime.submit(message)
        assert len(runtime._answers) == 20
    async with opener() as again:
        assert len(again._answers) == 20


async def test_who_began_a_run_gets_the_same_one_after_its_end(opener, desk) -> None:
    async with opener() as runtime:
        root, token = await _family(runtime, desk)
        await runtime.submit(Message(token, FinishAgent(root, None)))
        assert (await _family(runtime, desk))[0] == root
    async with opener() as again:
        assert (await _family(again, desk))[0] == root


async def test_a_message_to_another_family_is_not_sent_again_after_its_senders_end(
    opener, desk
) -> None:
    async with opener() as runtime:
        root, token = await _family(runtime, desk)
        other, _ = await _family(runtime, desk, 1)
        message = Message(token, SendMessage(other, EMPTY_OBJECT), "send")
        await runtime.submit(message)
        await runtime.submit(Message(token, FinishAgent(root, None)))
        assert (await runtime.submit(message)).is_repeated
        assert len(runtime.state.mailbox(other)) == 1


async def test_answers_of_a_family_that_lives_survive_a_restart(opener, desk) -> None:
    async with opener() as runtime:
        root, token = await _family(runtime, desk)
        message = _scheduling(root, token)
        first = await runtime.submit(message)
    async with opener() as again:
        assert await again.submit(message) == first
        assert len(again.state.tasks(root)) == 1


async def test_what_ended_the_family_is_answered_again(runtime, desk) -> None:
    root, token = await _family(runtime, desk)
    message = Message(token, FinishAgent(root, None), "finish")
    assert await runtime.submit(message) == await runtime.submit(message)
    assert root_of(root) not in runtime.state.families


@pytest.mark.parametrize("own", [False, True])
def test_a_window_keeps_the_newest_and_is_rebuilt_from_its_rows(own) -> None:
    window = AnswerWindow(2)
    for number in range(3):
        window.remember("one/agent", f"key {number}", Answer(number, 1), own=own)
    same = AnswerWindow.load(window.dump(), 2)
    assert [same.find("one/agent", f"key {number}") for number in range(3)] == [
        None,
        Answer(1, 1),
        Answer(2, 1),
    ]
    same.forget("one", {"one"})
    assert len(same) == 2
    same.forget("one", ())
    assert len(same) == (0 if own else 2)
