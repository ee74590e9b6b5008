"""A group of nodes on this machine, for tests: processes to kill, to pause and to cut off.

Every node dials its peers through a `Gate` that this process owns, one for each pair and direction,
so that a cut is a network that swallows bytes, not a node that pretends.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import attrs

from raft_core import Member
from raft_storage import FileStorage

from ._client import Client, describe
from ._identity import format_member
from ._nursery import Nursery

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from pathlib import Path

    from ._identity import Address
    from ._nursery import Process


class Gate:
    """A way from one node to another that can be shut."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.address: Address = ("127.0.0.1", 0)
        self.shut = False
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.Transport] = set()

    async def open(self) -> None:
        """Begin to let through."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Near(self), "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()

    def set(self, *, shut: bool) -> None:
        """Swallow what comes from now on, or be as good as new."""
        self.shut = shut
        if not shut:
            self.hang_up()  # bytes are missing from the stream: it is of no use any more

    def hang_up(self) -> None:
        """End the connections that go through here."""
        for end in list(self._ends):
            end.abort()

    def add(self, end: asyncio.Transport) -> None:
        self._ends.add(end)

    def remove(self, end: asyncio.Transport) -> None:
        self._ends.discard(end)

    async def close(self) -> None:
        """Be gone."""
        if self._server is not None:
            self._server.close()
        self.hang_up()


class _Near(asyncio.Protocol):
    """The end that a node dialled."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._far: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._gate.add(self._transport)
        self._task = asyncio.get_running_loop().create_task(self._dial(self._transport))

    async def _dial(self, near: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            far, _ = await loop.create_connection(lambda: _Far(near), *self._gate.target)
        except OSError:
            near.abort()
            return
        if near.is_closing():
            far.abort()
            return
        far.writelines(self._early)
        self._far = far

    def data_received(self, data: bytes) -> None:
        if self._gate.shut:
            return
        if self._far is None:
            self._early.append(data)
        else:
            self._far.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        if self._transport is not None:
            self._gate.remove(self._transport)
        if self._far is not None:
            self._far.abort()


class _Far(asyncio.Protocol):
    """The end that leads to the node dialled. Handshakes come back on it."""

    def __init__(self, near: asyncio.Transport) -> None:
        self._near = near

    def data_received(self, data: bytes) -> None:
        self._near.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the interface
        self._near.abort()


@attrs.define
class Host:
    """Where a node of the group runs: a folder, ports, and ways to the others."""

    id: int
    folder: Path
    peers: Address
    clients: Address
    gates: dict[int, Gate]
    """From this node to the others."""
    process: Process | None = None
    paused: bool = False

    def format(self) -> Member:
        """Make a store, and return who the node is with it."""
        with FileStorage.create(self.folder) as store:
            return Member(self.id, store.store_id, place(self.peers))


@attrs.define
class Group:
    """Nodes 1 to n, each with a folder, ports and a process."""

    members: dict[int, Host]
    founders: Sequence[Member]
    nursery: Nursery
    options: Sequence[str] = ()
    tls: ssl.SSLContext | None = None
    newcomers: set[int] = attrs.field(factory=set)
    """Who starts without founding: the group takes them in, or has done so."""

    @classmethod
    async def create(
        cls,
        folder: Path,
        size: int = 3,
        options: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> Group:
        """Prepare nodes in a folder, and start none."""
        ports = free_ports(2 * size)
        places = {
            number: (("127.0.0.1", ports[2 * number - 2]), ("127.0.0.1", ports[2 * number - 1]))
            for number in range(1, size + 1)
        }
        members: dict[int, Host] = {}
        for number, (peers, clients) in places.items():
            gates = {other: Gate(places[other][0]) for other in places if other != number}
            for gate in gates.values():
                await gate.open()
            members[number] = Host(number, folder / f"node-{number}", peers, clients, gates)
        founders = [member.format() for member in members.values()]
        return cls(members, founders, await Nursery.open(), options, tls)

    async def start(self, *numbers: int) -> None:
        """Start some nodes, or all."""
        for number in numbers or tuple(self.members):
            await self._start(self.members[number])

    async def _start(self, member: Host) -> None:
        member.process = await self.nursery.node(self.arguments(member.id))

    def arguments(self, number: int) -> list[str]:
        """Return the command line of a node, with the founders as they were in the beginning."""
        member = self.members[number]
        arguments = ["--id", str(member.id), "--folder", str(member.folder)]
        arguments += ["--peers", place(member.peers), "--clients", place(member.clients)]
        for other, gate in member.gates.items():
            arguments += ["--route", f"{other}={place(gate.address)}"]
        if number not in self.newcomers:
            arguments += ["--found", *map(format_member, self.founders)]
        return [*arguments, *self.options]

    async def kill(self, number: int) -> None:
        """End a node at once (SIGKILL)."""
        member = self.members[number]
        if member.process is not None:
            await member.process.kill()
        member.process, member.paused = None, False

    def pause(self, number: int, *, paused: bool = True) -> None:
        """Stop a node where it is (SIGSTOP), or let it go on."""
        member = self.members[number]
        if member.process is not None:
            member.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)
            member.paused = paused

    def cut(self, number: int, *others: int, both: bool = True, shut: bool = True) -> None:
        """Cut a node off from others, or from all; or mend it."""
        for other in others or tuple(self.members[number].gates):
            self.members[number].gates[other].set(shut=shut)
            if both:
                self.members[other].gates[number].set(shut=shut)

    def client(self, **settings: float) -> Client:
        """Return a client of the group."""
        nodes = {number: member.clients for number, member in self.members.items()}
        return Client(nodes, tls=self.tls, **settings)

    async def describe(self, number: int) -> dict[str, int] | None:
        """Return what a node says about itself."""
        return await describe(self.members[number].clients, self.tls)

    async def leader(self) -> int:
        """Wait until a node that answers says that it leads."""
        async with asyncio.timeout(30):
            while True:
                for number, member in self.members.items():
                    if member.process is None or member.paused:
                        continue
                    status = await self.describe(number)
                    if status and status["leader"] == number:
                        return number
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        """End everything."""
        for number, member in self.members.items():
            if member.paused:
                self.pause(number, paused=False)
            await self.kill(number)
            for gate in member.gates.values():
                await gate.close()
        await self.nursery.close()


def place(address: Address) -> str:
    """Return an address as the command line has it."""
    return f"{address[0]}:{address[1]}"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now.

    Below those that systems give to outgoing connections: while a node is down, nobody gets its.
    """
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            with suppress(OSError):
                port = random.randrange(10_000, 32_000)  # noqa: S311 - not a secret
                sockets.append(socket.create_server(("127.0.0.1", port)))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
