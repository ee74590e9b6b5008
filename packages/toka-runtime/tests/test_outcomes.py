"""Outcomes that a later run takes over: what the log has, and nothing else."""

import pytest
from msgspec import Raw

from toka.kernel import Kernel, StepCompleted, StepCopied, StepFailed
from toka.runtime import Rejected, explain, find_event, find_outcome, replay
from toka.types import (
    AgentId,
    CopyStep,
    EventId,
    Failure,
    FinishStep,
    Message,
    ScheduleTask,
    SideEffect,
    SpawnAgent,
    StartStep,
    StartTask,
    StepIntent,
    TaskSpec,
    TerminateAgent,
    task_id,
)

pytestmark = pytest.mark.anyio

BIG = Raw(b'"' + b"x" * 4_000_000 + b'"')


class Family:
    """A root with a child that does steps."""

    def __init__(self, runtime, desk, copies_from=None):
        self.runtime, self.copies_from = runtime, copies_from
        self.boss = desk.token("agent:*:**", "task:*:**", "event:read:**", subject="boss")
        self.desk = desk

    async def begin(self):
        spawn = SpawnAgent(None, "run", copies_from=self.copies_from)
        receipt = await self.runtime.submit(Message(self.boss, spawn))
        self.root = AgentId(receipt.events[-1].stream)
        receipt = await self.runtime.submit(Message(self.boss, SpawnAgent(self.root, "kid")))
        self.agent = AgentId(receipt.events[-1].stream)
        await self.runtime.submit(Message(self.boss, ScheduleTask(self.agent, TaskSpec("work"))))
        self.task = task_id(self.agent, 0)
        self.own = self.desk.token(f"agent:act:{self.agent}", subject=self.agent)
        await self.submit(StartTask(self.task, "here", 10**10))
        return self

    async def submit(self, operation):
        return (await self.runtime.submit(Message(self.own, operation))).events[-1]

    async def do(self, ordinal=0, *, effect: SideEffect = "none", name="fetch", **outcome):
        needed = (f"agent:act:{self.agent}",)
        step = StepIntent(self.task, 1, "root", ordinal, name, effect, Raw(b'{"n":1}'), needed)
        if effect == "external":
            await self.submit(StartStep(step))
        return await self.submit(FinishStep(step, 1, **outcome))

    async def end(self):
        await self.runtime.submit(Message(self.boss, TerminateAgent(self.root, "enough")))

    def copy(self, origin, /, ordinal=0, **parts):
        said = {"path": "root", "name": "fetch", "origin": origin, **parts}
        return CopyStep(self.task, 1, ordinal=ordinal, **said)


async def outcome_of(runtime, event):
    found = await find_outcome(runtime.store, event)
    assert found is not None
    return found


async def told_of(runtime, event, **parts):
    stored = await find_event(runtime.store, event)
    assert stored is not None
    return await explain(runtime.store, stored, **parts)


@pytest.fixture
async def earlier(runtime, desk):
    return await Family(runtime, desk).begin()


async def later(earlier):
    await earlier.end()
    return await Family(earlier.runtime, earlier.desk, earlier.root).begin()


@pytest.mark.parametrize("effect", ["none", "external"])
async def test_an_outcome_is_found_with_what_was_to_be_done(runtime, earlier, effect):
    event = await earlier.do(effect=effect, result=Raw(b"42"), taint=("tool:web",))
    found = await outcome_of(runtime, event.id)
    assert [each.event for each in found.chain] == [event]
    assert (found.intent.name, bytes(found.intent.arguments)) == ("fetch", b'{"n":1}')
    assert (bytes(found.result), found.failure, found.taint) == (b"42", None, ("tool:web",))


async def test_a_large_outcome_is_kept_once_however_often_it_is_copied(runtime, earlier):
    event = await earlier.do(result=BIG, taint=("tool:web",))
    chain = [event.id]
    for _ in range(3):
        next_one = await later(earlier)
        copied = await next_one.submit(next_one.copy(event.id, taint=("tool:web",)))
        assert isinstance(copied.body, StepCopied)
        stored = await runtime.store.get(copied.id)
        assert len(stored.payload) < 200
        found = await outcome_of(runtime, copied.id)
        assert found.result == BIG
        chain = [copied.id, *chain]
        assert [each.event.id for each in found.chain] == chain
        earlier, event = next_one, copied
    report = await replay(Kernel(), runtime.store, verify=True)
    assert report.state.digest() == runtime.state.digest()


async def test_why_a_step_was_copied_says_who_made_the_outcome_first(runtime, earlier):
    event = await earlier.do(result=Raw(b"42"))
    second = await later(earlier)
    copied = await second.submit(second.copy(event.id))
    third = await later(second)
    copied = await third.submit(third.copy(copied.id))
    told = await told_of(runtime, copied.id, limit=1)
    copied = told.event.event
    assert [each.event.stream for each in told.copied_from] == [second.agent, earlier.agent]
    assert told.copied_from[-1].event.actor == earlier.agent
    assert told.tokens[told.copied_from[-1].event.token].subject == earlier.agent
    (allowed,) = told.allowed_by(copied)
    assert allowed.needed == allowed.granting == f"agent:act:{earlier.agent}"
    assert (await told_of(runtime, event.id)).copied_from == ()


async def test_a_failure_is_copied_as_one(runtime, earlier):
    event = await earlier.do(failure=Failure("tools.failed", "No such file."))
    assert isinstance(event.body, StepFailed)
    second = await later(earlier)
    copied = await second.submit(second.copy(event.id, failed=True))
    found = await outcome_of(runtime, copied.id)
    assert found.failure is not None
    assert found.failure.message == "No such file."


@pytest.mark.parametrize(
    "lie",
    [
        {"name": "other"},
        {"failed": True},
        {"taint": ("tool:web",)},
        {"path": "root/0:files"},
        {"origin": "01JD3X8ZK5Q6T7V8W9XAYBZCDE"},
        {"origin": "nonsense"},
    ],
)
async def test_a_copy_that_the_log_does_not_bear_out_is_refused(runtime, earlier, lie):
    event = await earlier.do(result=Raw(b"42"))
    second = await later(earlier)
    position = runtime.position
    with pytest.raises(Rejected) as caught:
        await second.submit(second.copy(event.id, **lie))
    assert caught.value.code == "runtime.copy_untrue"
    copy = Message(second.own, second.copy(event.id, **lie))
    with pytest.raises(Rejected):
        await runtime.submit_all([copy])
    assert runtime.position == position


async def test_a_copy_by_a_guarded_permission_is_held_against_the_log_too(desk, earlier):
    event = await earlier.do(taint=("tool:web",))
    second = await later(earlier)
    second.own = desk.token(
        "agent:spawn:nobody", subject="tester", untainted=(f"agent:act:{second.agent}",)
    )
    with pytest.raises(Rejected, match="no such outcome"):
        await second.submit(second.copy(event.id))
    await second.submit(second.copy(event.id, taint=("tool:web",)))


async def test_a_copy_for_an_agent_spawned_in_the_same_commit_is_refused(runtime, earlier):
    second = await later(earlier)
    agent = AgentId(f"{second.root}/other")
    task = task_id(agent, 0)
    position = runtime.position
    together = [
        SpawnAgent(second.root, "other"),
        ScheduleTask(agent, TaskSpec("work")),
        StartTask(task, "here", 10**10),
        CopyStep(task, 1, "root", 0, "pay", EventId("01JD3X8ZK5Q6T7V8W9XAYBZCDE")),
    ]
    with pytest.raises(Rejected) as caught:
        await runtime.submit_all([Message(second.boss, each) for each in together])
    assert caught.value.code == "runtime.copy_untrue"
    assert runtime.position == position
    await runtime.submit_all([Message(second.boss, each) for each in together[:-1]])


async def test_a_copy_whose_agent_cannot_be_named_is_refused_by_the_kernel(runtime, earlier):
    copy = CopyStep(task_id(AgentId("a b*"), 0), 1, "root", 0, "pay", EventId("x"))
    with pytest.raises(Rejected) as caught:
        await runtime.submit(Message(earlier.boss, copy))
    assert caught.value.code == "kernel.malformed_request"


async def test_taint_cannot_be_left_out(earlier):
    event = await earlier.do(taint=("tool:web",))
    second = await later(earlier)
    with pytest.raises(Rejected, match="no such outcome"):
        await second.submit(second.copy(event.id))


async def test_an_outcome_goes_to_its_own_place_only(earlier):
    first = await earlier.do()
    event = await earlier.do(1)
    second = await later(earlier)
    with pytest.raises(Rejected, match="no such outcome"):
        await second.submit(second.copy(event.id))
    await second.submit(second.copy(first.id))
    await second.submit(second.copy(event.id, ordinal=1))


async def test_the_outcome_of_a_run_that_was_not_named_is_refused(runtime, desk, earlier):
    other = await Family(runtime, desk).begin()
    event = await other.do()
    await other.end()
    second = await later(earlier)
    with pytest.raises(Rejected, match="no such outcome"):
        await second.submit(second.copy(event.id))


async def test_what_is_no_outcome_is_none(runtime, earlier):
    started = await earlier.submit(
        StartStep(StepIntent(earlier.task, 1, "root", 0, "pay", "external", Raw(b"{}")))
    )
    assert await find_outcome(runtime.store, started.id) is None
    assert await find_outcome(runtime.store, EventId("nonsense")) is None


async def test_a_caller_that_may_not_act_is_told_nothing_of_the_log(desk, earlier):
    event = await earlier.do()
    second = await later(earlier)
    second.own = desk.token("agent:spawn:**", subject="stranger")
    for origin in (event.id, "01JD3X8ZK5Q6T7V8W9XAYBZCDE"):
        with pytest.raises(Rejected) as caught:
            await second.submit(second.copy(origin))
        assert caught.value.code == "kernel.capability_denied"


async def test_a_copy_is_answered_once_under_its_key(runtime, earlier):
    event = await earlier.do()
    assert isinstance(event.body, StepCompleted)
    second = await later(earlier)
    message = Message(second.own, second.copy(event.id), "once")
    first = await runtime.submit(message)
    assert (await runtime.submit(message)).events == first.events
