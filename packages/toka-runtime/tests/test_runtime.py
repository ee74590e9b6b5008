import anyio
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.auth import AuthenticationError
from toka.kernel import AgentSpawned, HostOpened, ObservationEmitted, TokenAdmitted
from toka.runtime import (
    LogFailed,
    Overloaded,
    Rejected,
    RuntimeClosed,
    UlidSource,
    from_store,
    open_runtime,
)
from toka.store.core import Query, StoreBusy
from toka.store.core.testing import FaultyStore
from toka.types import (
    AgentId,
    CanonicalEncodingError,
    EmitObservation,
    Message,
    ScheduleTask,
    SpawnAgent,
    TaskSpec,
    TerminateAgent,
    root_agent,
)

pytestmark = pytest.mark.anyio


async def _spawn(runtime, token, name="worker") -> AgentId:
    receipt = await runtime.submit(Message(token, SpawnAgent(None, name)))
    return root_agent(receipt.events[-1].intent)


async def _log(store):
    return [from_store(event).event async for event in store.read()]


async def test_what_is_acknowledged_is_in_the_log(runtime, store, desk) -> None:
    agent = await _spawn(runtime, desk.token())
    last = (await _log(store))[-1]
    assert isinstance(last.body, AgentSpawned)
    assert last.stream == agent
    assert runtime.state.agent(agent) is not None


async def test_the_log_says_who_allowed_every_event(runtime, store, desk) -> None:
    await _spawn(runtime, desk.token())
    admitted = set()
    for event in await _log(store):
        if isinstance(event.body, TokenAdmitted):
            admitted.add(event.body.token)
        assert event.token in admitted


async def test_a_caller_who_is_known_but_has_no_permission_is_refused(runtime, store, desk) -> None:
    # Defect 1 of the original: whoever could authenticate could do everything.
    agent = await _spawn(runtime, desk.token())
    before = await _log(store)
    stranger = desk.token("task:schedule:elsewhere", subject="stranger")
    with pytest.raises(Rejected) as caught:
        await runtime.submit(Message(stranger, ScheduleTask(agent, TaskSpec("x"))))
    assert caught.value.code == "kernel.capability_denied"
    assert caught.value.rejection.needed == f"task:schedule:{agent}"
    assert await _log(store) == before


async def test_a_token_of_another_key_is_refused(runtime) -> None:
    with pytest.raises(AuthenticationError):
        await runtime.submit(Message("x.y.z", SpawnAgent(None, "worker")))


async def test_events_are_persisted_and_not_only_published(opener, desk) -> None:
    # Defect 4 of the original: its runtime's persistence was an empty function.
    async with opener() as runtime:
        agent = await _spawn(runtime, desk.token())
        await runtime.submit(Message(desk.token(), ScheduleTask(agent, TaskSpec("count"))))
        digest = runtime.state.digest()
    async with opener() as again:
        known = again.state.agent(agent)
        assert known is not None
        assert known.queued == 1
        assert again.state.host.epoch == 2
        assert digest != again.state.digest()


async def test_a_second_host_makes_leases_of_the_first_void(opener) -> None:
    async with opener() as first:
        assert first.state.host.epoch == 1
    async with opener() as second:
        assert second.state.host.epoch == 2


async def test_hosting_needs_its_own_permission(store, desk) -> None:
    token = desk.token("agent:*:**")
    with pytest.raises(Rejected, match="runtime:host"):
        async with open_runtime(store, desk.authenticator, token):
            pytest.fail("it must not open")


async def test_the_same_key_gets_the_same_answer(runtime, desk) -> None:
    token = desk.token()
    message = Message(token, SpawnAgent(None, "worker"), idempotency_key="once")
    first = await runtime.submit(message)
    again = await runtime.submit(message)
    assert again == first
    assert len(runtime.state.families) == 1


async def test_what_was_submitted_is_found_by_its_tags(runtime, desk) -> None:
    for tag in ("red", "blue"):
        message = Message(desk.token(), SpawnAgent(None, tag), idempotency_key=tag)
        await runtime.submit(message, tags=(tag,))
        await runtime.submit(message, tags=(tag,))
    query = Query(kinds=("agent.spawned.",), tags=("red",))
    (found,) = await runtime.store.read_page(0, 10, where=query)
    assert found.stream == min(runtime.state.families)


async def test_the_same_key_of_another_subject_is_another_request(runtime, desk) -> None:
    operation = SpawnAgent(None, "worker")
    await runtime.submit(Message(desk.token(), operation, "once"))
    await runtime.submit(Message(desk.token(subject="other"), operation, "once"))
    assert len(runtime.state.families) == 2


async def test_the_same_key_at_the_same_time_is_one_request(runtime, desk) -> None:
    message = Message(desk.token(), SpawnAgent(None, "worker"), "once")
    receipts = []

    async def submit() -> None:
        receipts.append(await runtime.submit(message))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(submit)
    assert receipts == [receipts[0]] * 10
    assert len(runtime.state.families) == 1


@pytest.mark.parametrize("with_snapshot", [True, False])
async def test_an_answer_survives_a_restart(store, desk, with_snapshot) -> None:
    message = Message(desk.token(), SpawnAgent(None, "worker"), "once")
    async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
        first = await runtime.submit(message)
        if not with_snapshot:
            runtime._snapshot_at = runtime.position
    async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
        assert await runtime.submit(message) == first
        assert len(runtime.state.families) == 1


async def test_a_refused_request_may_be_made_again_under_its_key(runtime, desk) -> None:
    operation = SpawnAgent(None, "worker")
    with pytest.raises(Rejected):
        await runtime.submit(Message(desk.token("fs:read:/x"), operation, "once"))
    receipt = await runtime.submit(Message(desk.token(), operation, "once"))
    assert receipt.events


async def test_authorize_answers_without_leaving_a_trace(runtime, store, desk) -> None:
    agent = await _spawn(runtime, desk.token())
    before = await _log(store)
    runtime.authorize(Message(desk.token(), ScheduleTask(agent, TaskSpec("x"))))
    with pytest.raises(Rejected):
        runtime.authorize(Message(desk.token("fs:read:/x"), ScheduleTask(agent, TaskSpec("x"))))
    assert await _log(store) == before


async def test_submissions_at_once_are_decided_one_after_another(runtime, store, desk) -> None:
    token = desk.token()
    agent = await _spawn(runtime, token)

    async def observe(number: int) -> None:
        data = msgspec.Raw(str(number).encode())
        await runtime.submit(Message(token, EmitObservation(agent, "count", data)))

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(observe, number)
    bodies = [event.body for event in await _log(store)]
    observed = [int(bytes(body.data)) for body in bodies if isinstance(body, ObservationEmitted)]
    assert observed == list(range(100))
    assert runtime.position == (await store.head()).position


async def test_cancelling_the_caller_does_not_lose_a_decision(runtime, store, desk) -> None:
    token = desk.token()
    agent = await _spawn(runtime, token)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("x"))))
    known = runtime.state.agent(agent)
    assert known is not None
    assert known.queued == 1
    assert runtime.position == (await store.head()).position


class _SlowToAnswer(FaultyStore):
    """Stores at once, and lets the answer to every append wait that has its turn in `held`."""

    def __init__(self, store) -> None:
        super().__init__(store)
        self.held = {}
        self.stored = anyio.Event()

    def hold_next(self) -> anyio.Event:
        self.stored = anyio.Event()
        self.held[self.appends + 1] = gate = anyio.Event()
        return gate

    async def append(self, events, *, streams=None, head=None, absent=()):
        receipt = await super().append(events, streams=streams, head=head, absent=absent)
        gate = self.held.pop(self.appends, None)
        if gate is not None:
            self.stored.set()
            await gate.wait()
        return receipt


async def test_the_answer_of_a_cancelled_request_is_known_under_its_key(store, desk) -> None:
    slow = _SlowToAnswer(store)
    async with open_runtime(slow, desk.authenticator, desk.token()) as runtime:
        message = Message(desk.token(), SpawnAgent(None, "worker"), "once")
        slow.hold_next()
        async with anyio.create_task_group() as group:
            group.start_soon(runtime.submit, message)
            await slow.stored.wait()
            group.cancel_scope.cancel()
        receipt = await runtime.submit(message)
        assert len(runtime.state.families) == 1
        assert receipt.events[-1].stream in runtime.state.families


async def test_a_commit_is_visible_to_its_caller_though_an_earlier_one_is_not_answered(
    store, desk
) -> None:
    slow = _SlowToAnswer(store)
    async with open_runtime(slow, desk.authenticator, desk.token()) as runtime:
        token = desk.token()
        gate = slow.hold_next()
        async with anyio.create_task_group() as group:
            group.start_soon(runtime.submit, Message(token, SpawnAgent(None, "first"), "once"))
            await slow.stored.wait()
            receipt = await runtime.submit(Message(token, SpawnAgent(None, "second")))
            assert runtime.position == receipt.position
            assert len(runtime.state.families) == 2
            gate.set()
        assert runtime.position == (await store.head()).position


async def test_a_snapshot_knows_the_answers_to_all_that_it_holds(store, desk) -> None:
    slow = _SlowToAnswer(store)
    message = Message(desk.token(), SpawnAgent(None, "first"), "once")
    async with anyio.create_task_group() as group:
        async with open_runtime(slow, desk.authenticator, desk.token()) as runtime:
            slow.hold_next()
            group.start_soon(runtime.submit, message)
            await slow.stored.wait()
            await runtime.submit(Message(desk.token(), SpawnAgent(None, "second")))
        group.cancel_scope.cancel()
    async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
        await runtime.submit(message)
        assert len(runtime.state.families) == 2


async def test_a_commit_that_was_under_way_at_the_end_is_acknowledged(store, desk) -> None:
    slow, receipts = _SlowToAnswer(store), []

    async def submit() -> None:
        receipts.append(await runtime.submit(Message(desk.token(), SpawnAgent(None, "last"))))

    async with anyio.create_task_group() as group:
        async with open_runtime(slow, desk.authenticator, desk.token()) as runtime:
            gate = slow.hold_next()
            group.start_soon(submit)
            await slow.stored.wait()
        gate.set()
    assert receipts[0].position == (await store.head()).position


async def test_whoever_is_told_of_an_event_finds_it_in_the_state(store, desk) -> None:
    slow = _SlowToAnswer(store)
    async with open_runtime(slow, desk.authenticator, desk.token()) as runtime:
        events = runtime.subscribe(runtime.position)
        gate, seen = slow.hold_next(), []

        async def follow() -> None:
            async for logged in events:
                seen.append((logged.position, runtime.position))
                if isinstance(logged.event.body, AgentSpawned):
                    return

        async with anyio.create_task_group() as group:
            group.start_soon(runtime.submit, Message(desk.token(), SpawnAgent(None, "worker")))
            await slow.stored.wait()
            group.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            gate.set()
        assert seen
        assert all(told <= known for told, known in seen)


async def test_a_snapshot_is_finished_before_its_caller_is_cancelled(
    store, desk, monkeypatch
) -> None:
    class SlowSnapshots(FaultyStore):
        async def save_snapshot(self, snapshot) -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
            await super().save_snapshot(snapshot)

    monkeypatch.setattr("toka.runtime._runtime.SNAPSHOT_EVERY", 1)
    receipts, scope = [], anyio.CancelScope()
    async with open_runtime(SlowSnapshots(store), desk.authenticator, desk.token()) as runtime:
        scope = anyio.CancelScope()
        with scope:
            receipts.append(await runtime.submit(Message(desk.token(), SpawnAgent(None, "worker"))))
    assert receipts


async def test_a_full_disk_stops_acknowledging_and_changes_nothing(store, desk) -> None:
    faulty = FaultyStore(store, fail_at=4)
    async with open_runtime(faulty, desk.authenticator, desk.token()) as runtime:
        token = desk.token()
        agent = await _spawn(runtime, token)
        await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("kept"))))
        state = runtime.state
        with pytest.raises(LogFailed) as caught:
            await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("lost"))))
        assert "Nothing was acknowledged" in str(caught.value)
        assert runtime.state is state
        with pytest.raises(LogFailed):
            await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("later"))))
    async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
        known = runtime.state.agent(agent)
        assert known is not None
        assert known.queued == 1


async def test_an_answer_that_got_lost_is_found_after_reopening(store, desk) -> None:
    faulty = FaultyStore(store, fail_at=2, after_storing=True)
    message = Message(desk.token(), SpawnAgent(None, "worker"), "once")
    async with open_runtime(faulty, desk.authenticator, desk.token()) as runtime:
        with pytest.raises(LogFailed):
            await runtime.submit(message)
    async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
        receipt = await runtime.submit(message)
        assert len(runtime.state.families) == 1
        assert receipt.events[-1].stream in runtime.state.families


async def test_text_without_a_canonical_form_is_refused_and_changes_nothing(
    runtime, store, desk
) -> None:
    token = desk.token()
    agent = await _spawn(runtime, token)
    state, head = runtime.state, await store.head()
    with pytest.raises(CanonicalEncodingError, match="normalisation form C"):
        await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("e\u0301"))))
    assert runtime.state is state
    assert await store.head() == head
    await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("\u00e9"))))


async def test_everything_in_flight_fails_with_the_log(store, desk) -> None:
    faulty = FaultyStore(store, fail_at=3)
    async with open_runtime(faulty, desk.authenticator, desk.token()) as runtime:
        token = desk.token()
        agent = await _spawn(runtime, token)
        failures = []

        async def schedule() -> None:
            try:
                await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("x"))))
            except LogFailed as error:
                failures.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(schedule)
        assert len(failures) == 5
        known = runtime.state.agent(agent)
        assert known is not None
        assert known.queued == 0


async def test_a_store_that_is_busy_refuses_and_changes_nothing(store, desk) -> None:
    class BusyStore(FaultyStore):
        async def append(self, events, **options):
            if self.appends == 2:
                self.appends += 1
                raise StoreBusy(1, 1, "appends")
            return await super().append(events, **options)

    async with open_runtime(BusyStore(store), desk.authenticator, desk.token()) as runtime:
        token = desk.token()
        agent = await _spawn(runtime, token)
        state = runtime.state
        with pytest.raises(Overloaded):
            await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("x"))))
        assert runtime.state is state
        await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("y"))))
        assert runtime.position == (await store.head()).position


async def test_another_writer_of_the_same_log_is_noticed(store, desk) -> None:
    async with (
        open_runtime(store, desk.authenticator, desk.token()) as first,
        open_runtime(store, desk.authenticator, desk.token()) as second,
    ):
        await _spawn(second, desk.token())
        with pytest.raises(LogFailed):
            await _spawn(first, desk.token())
    events = await _log(store)
    assert sum(isinstance(event.body, HostOpened) for event in events) == 2
    assert sum(isinstance(event.body, AgentSpawned) for event in events) == 1


async def test_a_closed_runtime_says_so(opener, desk) -> None:
    async with opener() as runtime:
        pass
    with pytest.raises(RuntimeClosed, match="closed"):
        await _spawn(runtime, desk.token())


async def test_a_subscriber_gets_the_past_and_then_the_present(runtime, desk) -> None:
    token = desk.token()
    agent = await _spawn(runtime, token)
    seen = []

    async def follow() -> None:
        async for logged in runtime.subscribe():
            seen.append(logged.position)
            if len(seen) == 200:
                return

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        for number in range(200):
            data = msgspec.Raw(str(number).encode())
            await runtime.submit(Message(token, EmitObservation(agent, "count", data)))
    assert seen == list(range(1, 201))


async def test_a_slow_subscriber_misses_nothing(runtime, desk) -> None:
    token = desk.token()
    agent = await _spawn(runtime, token)
    total = 3_000  # more than the bus keeps
    stream = runtime.subscribe(runtime.position)

    async def write() -> None:
        for number in range(total):
            data = msgspec.Raw(str(number).encode())
            await runtime.submit(Message(token, EmitObservation(agent, "count", data)))

    first = runtime.position + 1
    await write()
    seen = []
    async for logged in stream:
        seen.append(logged.position)
        if len(seen) == 1:
            await write()
        if len(seen) == 2 * total:
            break
    assert seen == list(range(first, first + 2 * total))


async def test_subscribing_ends_with_the_runtime(opener) -> None:
    async with opener() as runtime:
        stream = runtime.subscribe()
        first = await anext(stream)
        head = runtime.position
    rest = [logged.position async for logged in stream]
    assert [first.position, *rest] == list(range(1, head + 1))


@given(st.lists(st.integers(min_value=0, max_value=5), max_size=50))
async def test_identifiers_rise_whatever_the_clock_does(steps) -> None:
    class Jumping:
        def __init__(self) -> None:
            self.times = iter([each * 1_000_000 for each in steps])

        def now(self) -> int:
            return next(self.times)

    source = UlidSource(Jumping(), lambda count: b"\xff" * count)  # type: ignore[arg-type]  # now is all it asks
    made = [source.event() for _ in steps]
    assert made == sorted(set(made))


async def test_messages_submitted_together_are_one_commit(runtime, desk):
    boss = desk.token()
    spawned = await runtime.submit(Message(boss, SpawnAgent(None, "a")))
    agent = AgentId(spawned.events[-1].stream)
    tasks = [ScheduleTask(agent, TaskSpec(f"task {number}")) for number in range(3)]
    commits = (await runtime.store.stats()).commits
    messages = [Message(boss, task, f"key {number}") for number, task in enumerate(tasks)]
    receipt = await runtime.submit_all(messages)
    assert (await runtime.store.stats()).commits == commits + 1
    assert [event.body.task for event in receipt.events] == [0, 1, 2]
    assert len(runtime.state.tasks(agent)) == 3
    # Each has an answer of its own.
    assert (await runtime.submit(messages[1])).events == receipt.events[1:2]
    again = await runtime.submit_all([*messages, Message(boss, tasks[0])])
    assert [event.body.task for event in again.events] == [3]
    assert (await runtime.submit_all(messages)).events == ()


async def test_of_messages_submitted_together_all_are_refused_or_none(runtime, desk):
    boss = desk.token()
    spawned = await runtime.submit(Message(boss, SpawnAgent(None, "a")))
    agent = AgentId(spawned.events[-1].stream)
    position = runtime.position
    good = Message(boss, ScheduleTask(agent, TaskSpec("fine")), "fine")
    bad = Message(boss, ScheduleTask(AgentId(f"{agent}/none"), TaskSpec("not")))
    with pytest.raises(Rejected):
        await runtime.submit_all([good, bad])
    assert runtime.position == position
    assert runtime.state.tasks(agent) == {}
    assert len((await runtime.submit(good)).events) == 1


async def test_whoever_watches_an_intent_sees_its_events_and_no_others(runtime, desk):
    boss = desk.token()
    agents = []
    for name in ("a", "b"):
        spawned = await runtime.submit(Message(boss, SpawnAgent(None, name)))
        agents.append(AgentId(spawned.events[-1].stream))
    seen: list[str] = []
    other: list[str] = []
    with runtime.watch(agents[0], lambda logged: seen.append(logged.event.body.kind)):
        with runtime.watch(agents[0], lambda logged: other.append(logged.event.body.kind)):
            for agent in agents:
                await runtime.submit(Message(boss, ScheduleTask(agent, TaskSpec("work"))))
        await runtime.submit(Message(boss, TerminateAgent(agents[0], "enough")))
    await runtime.submit(Message(boss, TerminateAgent(agents[1], "enough")))
    assert seen == ["task.scheduled.v1", "task.cancelled.v1", "agent.terminated.v1"]
    assert other == ["task.scheduled.v1"]
