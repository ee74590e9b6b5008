"""One node as a process."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import ssl
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from raft_core import Config, ConfState, Snapshot
from raft_storage import FileStorage, NotFoundError, SystemFolder

from ._links import Address, Incoming, Link, Links
from ._machine import Table
from ._promptness import ask_for_short_slices, loop_factory
from ._replica import Limits, Replica
from ._service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_storage import File


def main(arguments: Sequence[str]) -> int:
    """Run until the process is told to end; the status is 1 if the disk failed."""
    options = parse(arguments)
    logging.basicConfig(format=f"node {options.id}: %(message)s", level=logging.WARNING)
    ask_for_short_slices()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(options))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser("raft_node", description="One node of a replicated table.")
    parser.add_argument("--id", type=int, required=True)
    parser.add_argument("--cluster", type=int, default=1, help="the number all its nodes share")
    parser.add_argument("--folder", type=Path, required=True, help="where its store is, or will be")
    parser.add_argument("--peers", type=address, required=True, help="where other nodes dial")
    parser.add_argument("--clients", type=address, required=True, help="where clients dial")
    parser.add_argument(
        "--peer", type=member, action="append", default=[], metavar="ID=HOST:PORT", dest="others"
    )
    parser.add_argument("--found", action="store_true", help="make the store: once in its life")
    parser.add_argument("--tick", type=float, default=0.05, help="seconds")
    parser.add_argument("--snapshot-every", type=int, default=Limits().snapshot_every)
    parser.add_argument("--keep", type=int, default=Limits().keep)
    parser.add_argument("--writer", choices=("inline", "thread", "adaptive"), default="adaptive")
    parser.add_argument("--certificate", type=Path, help="with key and authority: mutual TLS")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--authority", type=Path)
    return parser.parse_args(arguments)


def address(text: str) -> Address:
    """Return the address that a text means."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def member(text: str) -> tuple[int, Address]:
    """Return the node and the address that a text means."""
    number, _, place = text.partition("=")
    return int(number), address(place)


def contexts(options: argparse.Namespace) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """Return how to accept and how to dial: both ends show a certificate of the one authority."""
    if options.certificate is None:
        return None, None
    accepting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.authority)
    accepting.verify_mode = ssl.CERT_REQUIRED
    dialling = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=options.authority)
    for context in (accepting, dialling):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(options.certificate, options.key)
    return accepting, dialling


class CountingFolder(SystemFolder):
    """A folder that counts the syncs of its files."""

    def open(self, name: str, *, create: bool = False) -> File:  # type: ignore[override]
        """Open a file whose syncs are counted."""
        return _Counting(super().open(name, create=create))


class _Counting:
    syncs = 0

    def __init__(self, file: File) -> None:
        self._file = file
        self.size, self.read, self.write = file.size, file.read, file.write
        self.truncate, self.forget, self.close = file.truncate, file.forget, file.close

    def sync(self) -> None:
        _Counting.syncs += 1
        self._file.sync()


def open_store(options: argparse.Namespace) -> FileStorage:
    """Open this node's store; make it if this is the first start of a founder.

    Who has lost its disk does not know what it has promised, so it does not come back by itself.

    Raises:
        NotFoundError: There is no store, and the group is not being founded.

    """
    folder = CountingFolder(options.folder)
    try:
        store = FileStorage.open(folder)
    except NotFoundError:
        if not options.found:
            raise
        store = FileStorage.create(folder)
    if options.found and not store.snapshot_index:
        voters = tuple(sorted((options.id, *(number for number, _ in options.others))))
        store.save(Snapshot(index=1, term=1, conf_state=ConfState(voters=voters)))
    return store


async def serve(options: argparse.Namespace) -> int:
    """Serve until told to end."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(status: int) -> None:
        if not ended.done():
            ended.set_result(status)

    def fail(error: BaseException) -> None:
        logging.getLogger("raft_node").critical("this node stops: %r", error, exc_info=error)
        # At once: whatever is done after a failed write may rest on what the disk has not.
        os._exit(1)

    loop.add_signal_handler(signal.SIGTERM, end, 0)
    accepting, dialling = contexts(options)
    with open_store(options) as store:
        links = Links(
            options.cluster,
            {number: Link(place, dialling) for number, place in options.others},
            lambda node: replica.node.report_unreachable(node),  # noqa: PLW0108 - made below
        )
        seed = int.from_bytes(os.urandom(6), "big")
        config = Config(id=options.id, seed=seed, disable_proposal_forwarding=True)
        service = Service(lambda: describe(replica))
        replica = service.replica = Replica.start(
            config,
            store,
            Table(),
            links.send,
            service.flush,
            fail,
            limits=Limits(options.snapshot_every, options.keep),
            writer=options.writer,
        )
        incoming = partial(Incoming, options.cluster, replica.step, replica.wake)
        servers = [
            await loop.create_server(incoming, *options.peers, ssl=accepting),
            await loop.create_server(service.connection, *options.clients, ssl=accepting),
        ]
        gc.freeze()  # what is loaded by now stays; let collections not go through it
        links.open()
        ticking = asyncio.create_task(tick(replica, options.tick))
        status = await ended
        ticking.cancel()
        for server in servers:
            server.close()
        await links.close()
        replica.writer.close()
    return status


async def tick(replica: Replica, period: float) -> None:
    """Let time pass for a replica. Time that this process slept through does not count."""
    while True:
        await asyncio.sleep(period)
        replica.tick()


def describe(replica: Replica) -> dict[str, int]:
    """Return what a client may want to know about a node."""
    status = replica.node.status()
    return {
        "id": status.id,
        "leader": status.soft_state.lead,
        "term": status.hard_state.term,
        "commit": status.hard_state.commit,
        "applied": replica.applied,
        "snapshot": replica.store.snapshot_index,
        "batches": replica.writer.counters.batches,
        "entries": replica.writer.counters.entries,
        "syncs": _Counting.syncs,
        "cpu_ns": time.process_time_ns(),
    }
