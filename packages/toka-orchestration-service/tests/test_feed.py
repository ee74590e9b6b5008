"""Many who listen to what happens now: each gets everything, in order, once."""

import anyio
import pytest

from toka.orchestration_service import _feed

pytestmark = pytest.mark.anyio


async def listen(served, query: str, until: int, found: list[int]) -> None:
    headers = {"Authorization": f"Bearer {served.token()}"}
    url = f"{served.url}/v1/events?{query}"
    async with served.session.get(url, headers=headers) as answer:
        async for line in answer.content:
            if line.startswith(b"id: "):
                found.append(int(line[4:]))
                if found[-1] >= until:
                    return


@pytest.mark.parametrize("kept", [1, 3, 8_192])
async def test_each_listener_gets_all_once_and_in_order(opener, monkeypatch, kept):
    monkeypatch.setattr(_feed, "KEPT", kept)
    async with opener() as served:
        first = served.runtime.position
        for _ in range(2):
            await served.ended(await served.begin("hello.yaml"))
        before = served.runtime.position
        # A run of this kind leaves as many events behind each time.
        until = before + before - first
        afters = [0, first, before, before]
        found: list[list[int]] = [[] for _ in afters]
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for after, mine in zip(afters, found, strict=True):
                    group.start_soon(listen, served, f"after={after}", until, mine)
                for _ in range(2):
                    await served.begin("hello.yaml")
        for after, mine in zip(afters, found, strict=True):
            assert mine == list(range(after + 1, mine[-1] + 1))


async def test_listeners_of_different_things_get_what_they_chose(served):
    run = await served.begin("hello.yaml")
    await served.ended(run)
    after = served.runtime.position
    tasks: list[int] = []
    other: list[int] = []
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(listen, served, f"after={after}&kind=task.completed", after + 1, tasks)
            group.start_soon(listen, served, f"after={after}&run={run}", after, other)
            await served.ended(await served.begin("hello.yaml"))
            while not tasks:  # noqa: ASYNC110 - what a socket brings sets no event
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    stored = await served.runtime.store.read_page(tasks[0] - 1, 1)
    assert stored[0].kind == "task.completed.v1"
    assert other == []
