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

from raft_core import Config, Member, Members, RaftError, Snapshot
from raft_storage import StreamedStorage, SystemFolder

from ._archive import Limits
from ._errors import NodeError, NotFounderError
from ._identity import Address, parse_address, parse_member
from ._incoming import Door, Incoming
from ._links import Links
from ._machine import Table
from ._promptness import ask_for_short_slices
from ._replica import Around, Replica
from ._service import Service
from ._shipping import Shipping
from ._state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raft_storage import File


def main(arguments: Sequence[str]) -> int:
    """Run until the process is told to end.

    The status is 1 if the disk failed, and 2 if this node must not begin.
    """
    options = parse(arguments)
    logging.basicConfig(format=f"node {options.id}: %(message)s", level=logging.WARNING)
    ask_for_short_slices()
    try:
        with asyncio.Runner() as runner:
            return runner.run(serve(options))
    except (NodeError, RaftError) as error:
        logging.getLogger("raft_node").critical("%s: %s", error.code, error)
        return 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser("raft_node run", description="One node of a replicated table.")
    parser.add_argument("--id", type=int, required=True, help="its number, which people use")
    parser.add_argument("--cluster", type=int, default=1, help="the number all its nodes share")
    parser.add_argument("--folder", type=Path, required=True, help="where its store is: see format")
    parser.add_argument("--peers", type=parse_address, required=True, help="where nodes dial it")
    parser.add_argument("--clients", type=parse_address, required=True, help="where clients do")
    parser.add_argument(
        "--found",
        type=parse_member,
        nargs="+",
        default=[],
        metavar="NUMBER@HOST:PORT:DIRECTORY",
        help="found a group of these; where it is founded already, nothing happens",
    )
    parser.add_argument(
        "--route",
        type=route,
        action="append",
        default=[],
        metavar="NUMBER=HOST:PORT",
        dest="routes",
    )
    parser.add_argument("--tick", type=float, default=0.05, help="seconds")
    parser.add_argument("--snapshot-every", type=int, default=Limits().snapshot_every)
    parser.add_argument("--keep", type=int, default=Limits().keep)
    parser.add_argument("--writer", choices=("inline", "thread", "adaptive"), default="adaptive")
    parser.add_argument("--certificate", type=Path, help="with key and authority: mutual TLS")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--authority", type=Path)
    return parser.parse_args(arguments)


def route(text: str) -> tuple[int, Address]:
    """Return the number and the address that a text means."""
    number, _, place = text.partition("=")
    return int(number), parse_address(place)


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


def identity(options: argparse.Namespace, store: StreamedStorage) -> Member:
    """Return who this node is: what its disk calls itself is part of it."""
    return Member(options.id, store.store_id, "{}:{}".format(*options.peers))


def found(store: StreamedStorage, own: Member, founders: Sequence[Member]) -> None:
    """Let the group begin, unless this store knows of a group already.

    Raises:
        NotFounderError: This disk is none of the founders'.
        ConfChangeError: Two founders have the same number.

    """
    if not founders or store.snapshot_index:
        return
    members = Members.founded_by(founders)
    if members.get(own.node_id) is None:
        raise NotFounderError(
            f"node {own.number} on the disk {own.directory} is no founder: start it without "
            f"--found, and add it to the group"
        )
    data = b"".join(State(Table(), members).frames())
    store.save(Snapshot(index=1, term=1, conf_state=members.conf, data=data))


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
    with StreamedStorage.open(CountingFolder(options.folder)) as store:
        own = identity(options, store)
        found(store, own, options.found)

        def report(node: int, success: bool) -> None:
            replica.node.report_snapshot(node, success=success)
            replica.wake()

        shipping = Shipping(options.cluster, store, report, fail)
        links = Links(
            options.cluster,
            own,
            dict(options.routes),
            dialling,
            lambda node: replica.node.report_unreachable(node),  # noqa: PLW0108 - made below
            shipping.send,
        )
        seed = int.from_bytes(os.urandom(6), "big")
        config = Config(
            id=own.node_id,
            seed=seed,
            disable_proposal_forwarding=True,
            snapshot_timeout_tick=0,  # what becomes of one is always told
        )
        service = Service(lambda: describe(replica, links))
        replica = service.replica = Replica.start(
            config,
            store,
            lambda: State(Table()),
            Around(links.send, links.know, service.flush, fail),
            limits=Limits(options.snapshot_every, options.keep),
            writer=options.writer,
        )
        incoming = partial(Incoming, Door(replica, links))
        servers = [
            await loop.create_server(incoming, *options.peers, ssl=accepting),
            await loop.create_server(service.connection, *options.clients, ssl=accepting),
        ]
        gc.freeze()  # what is loaded by now stays; let collections not go through it
        ticking = asyncio.create_task(tick(replica, options.tick))
        status = await ended
        ticking.cancel()
        for server in servers:
            server.close()
        shipping.close()
        await links.close()
        replica.archive.close()
        replica.writer.close()
    return status


async def tick(replica: Replica, period: float) -> None:
    """Let time pass for a replica. Time that this process slept through does not count."""
    while True:
        await asyncio.sleep(period)
        replica.tick()


def describe(replica: Replica, links: Links) -> dict[str, int]:
    """Return what a client may want to know about a node."""
    status = replica.node.status()
    return {
        "id": links.own.number,
        "leader": replica.leader,
        "refused": links.refused,
        "term": status.hard_state.term,
        "commit": status.hard_state.commit,
        "applied": replica.applied,
        "snapshot": replica.store.snapshot_index,
        "batches": replica.writer.counters.batches,
        "entries": replica.writer.counters.entries,
        "syncs": _Counting.syncs,
        "cpu_ns": time.process_time_ns(),
    }
