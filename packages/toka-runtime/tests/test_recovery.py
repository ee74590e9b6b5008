import attrs
import pytest

from toka.kernel import Kernel
from toka.runtime import LogDamaged, open_runtime, replay
from toka.store.core import NewEvent, Snapshot
from toka.types import Message, ScheduleTask, SpawnAgent, TaskSpec, root_agent

pytestmark = pytest.mark.anyio


async def _work(runtime, desk, tasks=5) -> None:
    token = desk.token()
    receipt = await runtime.submit(Message(token, SpawnAgent(None, "worker")))
    agent = root_agent(receipt.events[-1].intent)
    for _ in range(tasks):
        await runtime.submit(Message(token, ScheduleTask(agent, TaskSpec("count"))))


async def test_replay_gives_the_state_that_the_host_had(opener, store, desk) -> None:
    async with opener() as runtime:
        await _work(runtime, desk)
        digest = runtime.state.digest()
    report = await replay(Kernel(), store, verify=True)
    assert report.digest == digest
    assert report.events == (await store.head()).position
    assert report.snapshot_checked == report.events


async def test_recovery_from_a_snapshot_and_from_nothing_agree(store, desk) -> None:
    async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
        await _work(runtime, desk)
    async with open_runtime(store, desk.authenticator, desk.token()) as runtime:
        await _work(runtime, desk)
        from_snapshot = runtime.state.digest()
    assert (await replay(Kernel(), store)).digest == from_snapshot


async def test_a_snapshot_that_cannot_be_read_costs_only_time(opener, store, desk) -> None:
    async with opener() as runtime:
        await _work(runtime, desk)
        digest = runtime.state.digest()
        position = runtime.position
    await store.save_snapshot(Snapshot("kernel", position, b"from another version", digest))
    async with opener() as runtime:
        assert runtime.position > position
        assert len(runtime.state.agents()) == 1


async def test_a_snapshot_that_lies_is_named(opener, store, desk) -> None:
    async with opener() as runtime:
        await _work(runtime, desk)
        position = runtime.position
    saved = await store.load_snapshot("kernel")
    await store.save_snapshot(attrs.evolve(saved, digest=bytes(32)))
    with pytest.raises(LogDamaged, match=f"position {position}"):
        await replay(Kernel(), store, verify=True)


_FORGED = "01JD3X8ZK5Q6T7V8W9XAYBZCDE"


async def test_an_event_under_a_token_that_was_never_admitted_is_named(opener, store, desk) -> None:
    async with opener() as runtime:
        await _work(runtime, desk)
    last = [event async for event in store.read()][-1]
    fields = {name: getattr(last, name) for name in attrs.fields_dict(NewEvent)}
    await store.append([NewEvent(**{**fields, "id": _FORGED, "token": _FORGED})])
    with pytest.raises(LogDamaged, match="never admitted"):
        await replay(Kernel(), store, verify=True)


async def test_replay_tells_how_far_it_is(opener, store, desk) -> None:
    async with opener() as runtime:
        await _work(runtime, desk)
    told = []
    await replay(Kernel(), store, progress=lambda done, total: told.append((done, total)))
    head = (await store.head()).position
    assert told[-1] == (head, head)
