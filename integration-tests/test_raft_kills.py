"""Three nodes over TCP, with files, killed, paused and cut off from each other.

The history that clients saw must be linearizable, and what they were told is written must be there
at the end, once. `TOKA_RAFT_KILLS` sets how many kills.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from typing import TYPE_CHECKING

import attrs
import pytest

from raft_core.simulation import Kind, Operation, Verdict, check_history

from .raft_node import Client, GaveUpError, Group

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.anyio

KILLS = int(os.environ.get("TOKA_RAFT_KILLS", "100"))
APPENDERS = 3
WRITERS = 5
KEYS = 3
"""Registers in use at a time; each disturbance brings others, so that histories stay short."""
PROGRESS = 12
"""So many answers after a disturbance are progress."""


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


@attrs.define
class Clients:
    """What clients do and what they see."""

    group: Group
    seed: int
    history: list[Operation] = attrs.field(factory=list)
    appended: dict[str, list[bytes]] = attrs.field(factory=dict)
    """What was acknowledged, by list."""
    uncertain: dict[str, set[bytes]] = attrs.field(factory=dict)
    round: int = 0
    answers: int = 0
    stopped: bool = False
    _moved: asyncio.Event = attrs.field(factory=asyncio.Event)

    def _answered(self) -> None:
        self.answers += 1
        self._moved.set()

    async def progress(self, count: int = PROGRESS) -> None:
        """Wait until so many more requests were answered."""
        goal = self.answers + count
        async with asyncio.timeout(60):
            while self.answers < goal:
                self._moved.clear()
                await self._moved.wait()

    async def append(self, number: int) -> None:
        """Append numbers to a list that nobody else appends to."""
        name = f"list-{number}"
        acknowledged = self.appended.setdefault(name, [])
        uncertain = self.uncertain.setdefault(name, set())
        client = await self._client()
        value = 0
        while not self.stopped:
            value += 1
            data = b"%d" % value
            try:
                length = await client.append(name, data)
            except GaveUpError:
                uncertain.add(data)
                client = await self._client(client)
                continue
            assert length >= len(acknowledged) + 1
            acknowledged.append(data)
            self._answered()
            await asyncio.sleep(0.004)
        client.close()

    async def use(self, number: int) -> None:
        """Read, write and swap registers that others use too."""
        chance = random.Random(self.seed + number)  # noqa: S311 - it shall be repeatable
        client = await self._client()
        value = number
        while not self.stopped:
            value += WRITERS  # what one writes nobody else writes
            kind = chance.choice((Kind.PUT, Kind.GET, Kind.GET, Kind.SWAP))
            operation = Operation(
                client=number,
                kind=kind,
                key=self.round * KEYS + chance.randrange(KEYS),
                value=value,
                invoked=time.monotonic_ns(),
            )
            self.history.append(operation)
            try:
                await self._do(client, operation)
            except GaveUpError:
                client = await self._client(client)
                continue
            operation.returned = time.monotonic_ns()
            self._answered()
            await asyncio.sleep(chance.random() * 0.008)
        client.close()

    async def _do(self, client: Client, operation: Operation) -> None:
        key = f"register-{operation.key}"
        new = b"%d" % operation.value
        if operation.kind is Kind.PUT:
            await client.put(key, new)
            return
        if operation.kind is Kind.GET:
            operation.value = _number(await client.get(key))
            return
        found = await client.get(key)  # no part of the history: it only makes a swap likely
        operation.expected = _number(found)
        expected = found if isinstance(found, bytes) else b""
        operation.done = await client.compare_and_set(key, expected, new)

    async def _client(self, last: Client | None = None) -> Client:
        """Return a client with a session of its own; one that gave up has lost its place."""
        if last is not None:
            last.close()
        while True:
            client = self.group.client(timeout=15, patience=0.4)
            try:
                return await client.open()
            except GaveUpError:
                client.close()


def _number(found: bytes | list[bytes] | None) -> int:
    return int(found) if isinstance(found, bytes) else 0


@attrs.define
class Trouble:
    """What befalls the group, one thing after another."""

    group: Group
    clients: Clients
    chance: random.Random
    kills: int = 0

    async def one(self) -> None:
        """Let one thing befall it, and end when it is served again."""
        await self.clients.progress()
        self.clients.round += 1
        weights = {self.kill: 10, self.kill_all: 4, self.pause: 1, self.cut_off: 1}
        (what,) = self.chance.choices(list(weights), list(weights.values()))
        await what()

    async def kill(self) -> None:
        """Kill a node, mostly the leader, and start it when the others go on without it."""
        number = await self._victim()
        await self._kill(number)
        if self.chance.random() < 0.8:
            await self.clients.progress()
        await self.group.start(number)

    async def kill_all(self) -> None:
        """Kill all: a power cut, but for what the system has not written."""
        for number in self.group.members:
            await self._kill(number)
        await self.group.start()

    async def pause(self) -> None:
        """Stop a node until others have taken over; then it goes on as if nothing had been."""
        number = await self._victim()
        self.group.pause(number)
        await self.clients.progress()
        self.group.pause(number, paused=False)

    async def cut_off(self) -> None:
        """Cut a node off from one or both others, in one or both directions."""
        number = await self._victim()
        others = [other for other in self.group.members if other != number]
        some = self.chance.sample(others, self.chance.randint(1, 2))
        both = self.chance.random() < 0.5
        self.group.cut(number, *some, both=both)
        await self.clients.progress()
        self.group.cut(number, *some, both=both, shut=False)

    async def _victim(self) -> int:
        if self.chance.random() < 0.7:
            return await self.group.leader()
        return self.chance.choice(list(self.group.members))

    async def _kill(self, number: int) -> None:
        await self.group.kill(number)
        self.kills += 1


async def test_nothing_acknowledged_is_lost_and_the_history_is_linearizable(tmp_path: Path):
    seed = random.SystemRandom().randrange(2**32)
    async with group(tmp_path, "--snapshot-every", "150", "--keep", "20") as three:
        clients = Clients(three, seed)
        trouble = Trouble(three, clients, random.Random(seed))  # noqa: S311
        async with asyncio.TaskGroup() as tasks:
            for number in range(APPENDERS):
                tasks.create_task(clients.append(number))
            for number in range(WRITERS):
                tasks.create_task(clients.use(number))
            while trouble.kills < KILLS:
                await trouble.one()
            await clients.progress()
            clients.stopped = True
        await lists_are_whole(three, clients)
    assert check_history(clients.history) is Verdict.LINEARIZABLE


async def lists_are_whole(three: Group, clients: Clients) -> None:
    """Every append that was acknowledged is there, in order, and none is there twice."""
    client = three.client()
    for name, acknowledged in clients.appended.items():
        found = await client.get(name)
        assert isinstance(found, list)
        assert len(found) == len(set(found))
        certain = [item for item in found if item not in clients.uncertain[name]]
        assert certain == acknowledged
    client.close()
