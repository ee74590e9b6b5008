"""Snapshots between processes: in pieces, on connections of their own, and nothing half done."""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from raft_core import ConfState, Message, MessageType, Snapshot, encode_message
from raft_storage import FileStorage

from .raft_node import Group
from .raft_node._frames import frame
from .raft_node._identity import Hello, Purpose, Welcome

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

MIB = 2**20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def group(folder: Path, *options: str) -> AsyncGenerator[Group]:
    made = await Group.create(folder, options=("--tick", "0.03", *options))
    try:
        await made.start()
        yield made
    finally:
        await made.close()


def peak(three: Group, number: int) -> int:
    """Return the most memory that a node had."""
    process = three.members[number].process
    assert process is not None
    status = Path(f"/proc/{process.number}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def applied(three: Group, number: int, index: int) -> dict[str, int]:
    async with asyncio.timeout(60):
        while True:
            status = await three.describe(number)
            if status and status["applied"] >= index:
                return status
            await asyncio.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc")
async def test_no_node_has_a_snapshot_in_memory(tmp_path):
    async with group(tmp_path, "--snapshot-every", "50", "--keep", "1") as three:
        client = three.client(timeout=60, patience=20)
        await client.put("key", b"value")
        leader = await three.leader()
        behind = next(number for number in three.members if number != leader)
        await three.kill(behind)
        for number in range(40):
            await client.put(f"large-{number}", bytes(MIB))
        for _ in range(30):  # so that the log behind the snapshot is small
            await client.put("key", b"value")
        status = await three.describe(leader)
        assert status
        async with asyncio.timeout(30):
            while not (status and status["snapshot"] >= 50):
                await asyncio.sleep(0.05)
                status = await three.describe(leader)
        (snapshot,) = three.members[leader].folder.glob("snapshot-*[0-9]")
        assert snapshot.stat().st_size > 40 * MIB
        before = peak(three, leader)
        await three.start(behind)
        caught_up = await applied(three, behind, status["applied"])
        assert caught_up["snapshot"] >= 50
        assert peak(three, leader) - before < 8 * MIB
        assert peak(three, behind) < peak(three, leader) + 8 * MIB
        assert await client.get("large-7") == bytes(MIB)
        client.close()


async def arriving(three: Group, number: int, last: int) -> None:
    """Wait until a part of a snapshot is on a node's disk, or it was too quick to be seen there."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(FileNotFoundError):  # whole by now, and renamed
                for draft in three.members[number].folder.glob("snapshot-*.tmp"):
                    if draft.stat().st_size > MIB:
                        return
            status = await three.describe(number)
            if status and status["applied"] >= last:
                return


async def test_whoever_dies_while_a_snapshot_is_sent_it_is_sent_again(tmp_path):
    async with group(tmp_path, "--snapshot-every", "30", "--keep", "1") as three:
        client = three.client(timeout=60, patience=20)
        await client.put("key", b"value")
        leader = await three.leader()
        behind = next(number for number in three.members if number != leader)
        await three.kill(behind)
        for number in range(32):
            await client.put(f"large-{number}", b"%d" % (number % 10) * (MIB // 2))
        status = await three.describe(leader)
        assert status
        await three.start(behind)
        await arriving(three, behind, status["applied"])
        await three.kill(behind)
        await three.start(behind)
        await arriving(three, behind, status["applied"])
        await three.kill(leader)
        caught_up = await applied(three, behind, status["applied"])
        assert caught_up["snapshot"] >= 30
        assert await client.get("large-7") == b"7" * (MIB // 2)
        assert not list(three.members[behind].folder.glob("*.tmp"))
        client.close()


async def dial(
    three: Group, number: int, head: Message, *frames: bytes
) -> tuple[list[Welcome], bytes]:
    """Send a snapshot's frames to a node; return its answers, and what remains at the end."""
    to = three.founders[number - 1]
    sender = next(one for one in three.founders if one != to)
    reader, writer = await asyncio.open_connection(*three.members[number].peers)
    hello = Hello(1, sender, to, Purpose.SNAPSHOT)
    writer.write(frame(msgspec.msgpack.encode(hello)))
    answers = [msgspec.msgpack.decode(await asyncio.wait_for(read(reader), 20), type=Welcome)]
    message = msgspec.structs.replace(head, to=to.node_id, sender=sender.node_id)
    for payload in (encode_message(message, cluster=1), *frames):
        writer.write(frame(payload))
    with contextlib.suppress(OSError):
        rest = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answers, rest
    return answers, b""


async def read(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">I", await reader.readexactly(4))
    return await reader.readexactly(size)


HEAD = Snapshot(900, 1, ConfState((1, 2, 3)))
SNAP = Message(type=MessageType.SNAP, to=0, sender=0, term=1, snapshot=HEAD)


NO_SNAPSHOTS = {
    "no size": (SNAP, (b"\xc1",)),
    "wrong checksum": (SNAP, (msgspec.msgpack.encode((3, 12345)), b"abc")),
    "more than said": (SNAP, (msgspec.msgpack.encode((3, 12345)), b"abcdef")),
    "a large frame": (SNAP, (msgspec.msgpack.encode((2**40, 1)), b"a" * (3 * MIB))),
    "no head": (msgspec.structs.replace(SNAP, snapshot=None), (b"",)),
    "another message": (msgspec.structs.replace(SNAP, type=MessageType.HEARTBEAT), (b"",)),
}


async def follower(three: Group) -> int:
    """Return a follower that has heard of its leader."""
    leader = await three.leader()
    other = next(number for number in three.members if number != leader)
    await applied(three, other, 2)
    return other


async def test_what_is_no_snapshot_is_refused_and_leaves_nothing(tmp_path):
    async with group(tmp_path) as three:
        other = await follower(three)
        for what, (head, frames) in NO_SNAPSHOTS.items():
            assert await dial(three, other, head, *frames) == ([Welcome()], b""), what
        assert not list(three.members[other].folder.glob("*.tmp"))
        await still_follows(three, other)


async def test_a_snapshot_that_comes_too_late_is_removed(tmp_path):
    conf = ConfState((1, 2, 3))
    with FileStorage.create(tmp_path / "apart") as store, store.write_snapshot(1, 1, conf) as draft:
        draft.finish()
    late = msgspec.structs.replace(SNAP, snapshot=Snapshot(1, 1, conf))
    async with group(tmp_path) as three:
        other = await follower(three)
        before = sorted(path.name for path in three.members[other].folder.iterdir())
        size = msgspec.msgpack.encode((0, draft.checksum))
        answers, rest = await dial(three, other, late, size)
        assert (answers, rest) == ([Welcome()], frame(msgspec.msgpack.encode(Welcome())))
        await still_follows(three, other)
        assert sorted(path.name for path in three.members[other].folder.iterdir()) == before


async def still_follows(three: Group, number: int) -> None:
    client = three.client()
    await client.put("key", b"value")
    status = await three.describe(await three.leader())
    assert status
    await applied(three, number, status["applied"])
    client.close()
