"""Three nodes over TCP, with files, killed, paused and cut off from each other.

The history that clients saw must be linearizable, and what they were told is written must be there
at the end, once. `TOKA_RAFT_KILLS` sets how many kills.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from typing import TYPE_CHECKING

import attrs
import pytest

from .raft_node import Clients, Group

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.anyio

KILLS = int(os.environ.get("TOKA_RAFT_KILLS", "100"))


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
            clients.start(tasks)
            while trouble.kills < KILLS:
                await trouble.one()
            await clients.progress()
            clients.stopped = True
        await clients.check()
