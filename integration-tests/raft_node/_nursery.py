"""A process that nodes are forked from: they start in milliseconds, having imported nothing anew.

It reads the arguments of one node a line, as JSON, and answers each with the process id of that
node. When its input ends, so do it and all its nodes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ._process import main

if TYPE_CHECKING:
    from collections.abc import Sequence


def serve() -> None:
    """Fork nodes until there is no more input."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is gone at once
    for line in sys.stdin:
        node = os.fork()
        if node == 0:
            _be_node(json.loads(line))
        sys.stdout.write(f"{node}\n")
        sys.stdout.flush()
    os.killpg(0, signal.SIGKILL)


def _be_node(arguments: Sequence[str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(0)
    try:
        status = main(arguments)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    finally:
        sys.stderr.flush()
    os._exit(status)


class Nursery:
    """The nursery, as the process sees it that wants nodes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls) -> Self:
        """Start the nursery."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from raft_node._nursery import serve; serve()",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        return cls(process)

    async def node(self, arguments: Sequence[str]) -> Process:
        """Start a node."""
        sending, receiving = self._process.stdin, self._process.stdout
        assert sending is not None
        assert receiving is not None
        async with self._lock:
            sending.write(json.dumps(list(arguments)).encode() + b"\n")
            return Process(int(await receiving.readline()))

    async def close(self) -> None:
        """End the nursery, and whoever is left."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()


class Process:
    """A node's process; not a child of this one."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._handle = os.pidfd_open(number)

    def send_signal(self, what: signal.Signals) -> None:
        """Send a signal; nobody else can have got the number meanwhile."""
        signal.pidfd_send_signal(self._handle, what)

    async def ended(self) -> None:
        """Wait until it is gone."""
        loop = asyncio.get_running_loop()
        gone = loop.create_future()
        loop.add_reader(self._handle, gone.set_result, None)
        try:
            await gone
        finally:
            loop.remove_reader(self._handle)

    async def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        with suppress(ProcessLookupError):  # it had ended by itself
            self.send_signal(signal.SIGKILL)
        await self.ended()
        os.close(self._handle)
