"""Clients that write and read without a pause, and what must be true of all that they saw."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import attrs

from raft_core.simulation import Kind, Operation, Verdict, check_history

from ._errors import GaveUpError

if TYPE_CHECKING:
    from ._client import Client
    from ._group import Group

APPENDERS = 3
WRITERS = 5
KEYS = 3
"""Registers in use at a time; each round brings others, so that histories stay short."""
PROGRESS = 12
"""So many answers after a disturbance are progress."""


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

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Let them all begin."""
        for number in range(APPENDERS):
            tasks.create_task(self.append(number))
        for number in range(WRITERS):
            tasks.create_task(self.use(number))

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

    async def check(self) -> None:
        """Find every append that was acknowledged, in order, and none twice."""
        client = self.group.client()
        for name, acknowledged in self.appended.items():
            found = await client.get(name)
            assert isinstance(found, list)
            assert len(found) == len(set(found))
            assert [item for item in found if item not in self.uncertain[name]] == acknowledged
        client.close()
        assert check_history(self.history) is Verdict.LINEARIZABLE


def _number(found: bytes | list[bytes] | None) -> int:
    return int(found) if isinstance(found, bytes) else 0
