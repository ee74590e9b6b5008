"""A policy beside the kernel: it narrows, it is asked before effects, and it is not in the log."""

import attrs
import pytest

from toka.kernel import Kernel
from toka.runtime import PolicedKernel, Rejected, open_runtime, replay
from toka.types import AgentId, Message, ScheduleTask, SpawnAgent, TaskSpec

pytestmark = pytest.mark.anyio


@attrs.frozen
class Verdict:
    allowed: bool
    reason: str = ""
    code: str = ""


class NoSecrets:
    """Lets nobody schedule a task that speaks of secrets."""

    def __init__(self):
        self.questions = []

    def judge(self, question):
        self.questions.append(question)
        spoken = question["operation"] == "ScheduleTask" and "secret" in str(question["fields"])
        return Verdict(not spoken, "It speaks of secrets." if spoken else "", "test.secret")


async def test_what_the_policy_refuses_leaves_no_event(store, desk):
    policy = NoSecrets()
    kernel = PolicedKernel(policy)
    async with open_runtime(store, desk.authenticator, desk.token(), kernel=kernel) as runtime:
        token = desk.token()
        spawned = await runtime.submit(Message(token, SpawnAgent(None, "worker")))
        worker = AgentId(spawned.events[-1].stream)
        await runtime.submit(Message(token, ScheduleTask(worker, TaskSpec("count"))))
        position = runtime.position
        told = Message(token, ScheduleTask(worker, TaskSpec("tell the secret")))
        for ask in (runtime.submit, _authorize(runtime)):
            with pytest.raises(Rejected, match="speaks of secrets") as refused:
                await ask(told)
            assert refused.value.code == "runtime.policy_refused"
            assert refused.value.rejection.details["code"] == "test.secret"
        assert runtime.position == position
        live = runtime.state.digest()
    assert policy.questions[0]["operation"] == "SpawnAgent"
    assert policy.questions[0]["subject"] == "tester"
    assert (await replay(Kernel(), store, verify=True)).digest == live


def _authorize(runtime):
    async def ask(message):
        runtime.authorize(message)

    return ask


async def test_a_policy_is_not_asked_where_the_kernel_refuses_nor_about_other_operations(
    store, desk
):
    policy = NoSecrets()
    kernel = PolicedKernel(policy, about=[ScheduleTask])
    async with open_runtime(store, desk.authenticator, desk.token(), kernel=kernel) as runtime:
        with pytest.raises(Rejected) as refused:
            await runtime.submit(Message(desk.token("fs:read:/a"), SpawnAgent(None, "worker")))
        assert refused.value.code == "kernel.capability_denied"
        await runtime.submit(Message(desk.token(), SpawnAgent(None, "worker")))
    assert policy.questions == []
