"""Who belongs to a group: processes whose disks are wiped, added, replaced and removed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec
import pytest

from raft_storage import FileStorage

from .raft_node import Action, Change, Clients, GaveUpError, Group, WriteError
from .raft_node._commands import main

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from raft_core import Member

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def group(folder: Path, *options: str) -> AsyncGenerator[Group]:
    made = await Group.create(folder, options=("--tick", "0.015", *options))
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def command(*arguments: str) -> tuple[int | None, str, str]:
    """Run a command to its end; return its status and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "raft_node", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode(), errors.decode()


async def describes(three: Group, number: int, what: str, least: int) -> int:
    """Wait until a node says that something is at least so much."""
    async with asyncio.timeout(30):
        while True:
            status = await three.describe(number)
            if status and status[what] >= least:
                return status[what]
            await asyncio.sleep(0.02)


async def wiped(three: Group) -> tuple[int, Member, Member]:
    """Kill a follower and give it an empty disk; return it as it was and as it is."""
    leader = await three.leader()
    number = next(number for number in three.members if number != leader)
    await three.kill(number)
    shutil.rmtree(three.members[number].folder)
    return number, three.founders[number - 1], three.members[number].format()


async def test_a_wiped_disk_is_another_voter_and_the_group_takes_it_in(tmp_path):
    async with group(tmp_path, "--snapshot-every", "150", "--keep", "20") as three:
        clients = Clients(three, seed=7)
        async with asyncio.TaskGroup() as tasks:
            clients.start(tasks)
            await clients.progress(60)
            await replace_a_wiped_disk(three, clients)
            clients.stopped = True
        await clients.check()


async def replace_a_wiped_disk(three: Group, clients: Clients) -> None:
    number, old, new = await wiped(three)
    three.newcomers.add(number)
    await three.start(number)
    leader = await three.leader()
    await describes(three, leader, "refused", 1)  # at the door: it is not whom the leader means
    clients.round += 1
    await clients.progress()  # the two others are a majority of three
    admin = three.client(timeout=20)
    learns = await admin.change(Change(Action.ADD_LEARNER, new))
    assert {one.member: one.votes for one in learns}[new] is False
    assert {one.member: one.votes for one in learns}[old] is True
    replaced = await admin.change(Change(Action.REPLACE, new, old))
    assert {one.member for one in replaced} == {new, *three.founders} - {old}
    assert all(one.votes for one in replaced)
    clients.round += 1
    status = await three.describe(await three.leader())
    assert status
    assert status["refused"] == 0
    third = next(other for other in three.members if other not in (number, leader))
    await three.kill(third)
    await clients.progress()  # so the new disk's acknowledgements count
    await three.start(third)
    await clients.progress()
    admin.close()


async def test_a_wiped_disk_gives_no_majority_under_its_old_number(tmp_path):
    async with group(tmp_path) as three:
        client = three.client()
        await client.put("key", b"value")
        number, _, _ = await wiped(three)
        leader = await three.leader()
        third = next(other for other in three.members if other not in (number, leader))
        three.newcomers.add(number)
        await three.start(number)
        await describes(three, leader, "refused", 1)
        await three.kill(third)
        hasty = three.client(timeout=1)
        with pytest.raises(GaveUpError):
            await hasty.put("key", b"lost")
        hasty.close()
        await three.start(third)
        assert await client.get("key") in (b"value", b"lost")
        client.close()


async def test_a_disk_must_be_formatted_and_is_no_founder_again(tmp_path):
    async with group(tmp_path) as three:
        client = three.client()
        await client.put("key", b"value")
        number, _, _ = await wiped(three)
        run = ("run", *three.arguments(number))
        status, _, errors = await command(*run)
        assert (status, "raft_node.not_founder" in errors) == (2, True)
        shutil.rmtree(three.members[number].folder)
        status, _, errors = await command(*run)
        assert (status, "raft_storage.not_found" in errors) == (2, True)
        assert not three.members[number].folder.exists()
        await client.put("key", b"another")  # two of three go on
        client.close()


async def test_changes_by_command(tmp_path, capsys):
    async def says(*arguments: str) -> tuple[int, str]:
        status = await asyncio.to_thread(main, arguments)  # it has a loop of its own
        return status, "".join(capsys.readouterr())

    async with group(tmp_path) as three:
        places = [f"{n}={host.clients[0]}:{host.clients[1]}" for n, host in three.members.items()]
        members = ["members", *(word for place in places for word in ("--at", place))]
        await three.leader()
        status, output = await says(*members)
        assert (status, output.count(" votes")) == (0, 3)
        first = output.split()[0]
        status, output = await says(*members, "--add-learner", first)
        assert (status, output.count(" votes"), output.count(" learns")) == (0, 2, 1)
        status, output = await says(*members, "--add", first)
        assert (status, output.count(" votes")) == (0, 3)
        stranger = first.partition(":")[0] + f":1:{uuid4()}"
        status, output = await says(*members, "--replace", stranger, stranger)
        assert (status, "raft_node.refused" in output) == (2, True)


async def test_a_disk_is_formatted_once(tmp_path, capsys):
    assert main(["format", str(tmp_path / "disk")]) == 0
    with FileStorage.open(tmp_path / "disk") as store:
        assert UUID(capsys.readouterr().out.strip()) == store.store_id
    assert main(["format", str(tmp_path / "disk")]) == 2
    assert "raft_storage.exists" in capsys.readouterr().err


async def test_what_makes_no_sense_is_refused_and_what_is_done_is_no_error(tmp_path):
    async with group(tmp_path) as three:
        client = three.client(timeout=20)
        one, two, _ = three.founders
        other = msgspec.structs.replace(one, directory=uuid4())
        with pytest.raises(WriteError, match="replace the one by the other"):
            await client.change(Change(Action.ADD_VOTER, other))
        with pytest.raises(WriteError, match="no member has number"):
            await client.change(Change(Action.REPLACE, other, other))
        with pytest.raises(WriteError, match="whose place"):
            await client.change(Change(Action.REPLACE, other))
        assert len(await client.change(Change(Action.ADD_VOTER, one))) == 3
        assert len(await client.change(Change(Action.REMOVE, other))) == 3
        assert len(await client.change(Change(Action.REMOVE, two))) == 2
        assert len(await client.change(Change(Action.REMOVE, two))) == 2
        await client.put("key", b"value")
        assert await client.get("key") == b"value"
        client.close()
