"""A replicated table over TCP: three processes, their files, and clients that know none of it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from raft_core import OPEN_SESSION, ClientSession, SessionReply

from .raft_node import Channel, Group, Kind, Operation, Status, Write

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def group(
    folder: Path, *options: str, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Group]:
    made = await Group.create(folder, options=("--tick", "0.015", *options), tls=tls)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def wait_until_applied(three: Group, number: int, index: int) -> dict[str, int]:
    async with asyncio.timeout(30):
        while True:
            status = await three.describe(number)
            if status and status["applied"] >= index:
                return status
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("options", [(), ("--writer", "thread"), ("--writer", "inline")])
async def test_what_was_acknowledged_survives_the_end_of_all_nodes(tmp_path, options):
    async with group(tmp_path, *options) as three:
        client = three.client()
        for number in range(20):
            await client.append("list", b"%d" % number)
        for number in three.members:
            await three.kill(number)
        await three.start()
        assert await client.append("list", b"20") == 21
        assert await client.get("list") == [b"%d" % number for number in range(21)]
        client.close()


async def test_a_node_left_far_behind_gets_a_snapshot(tmp_path):
    async with group(tmp_path, "--snapshot-every", "20", "--keep", "5") as three:
        client = three.client()
        leader = await three.leader()
        behind = next(number for number in three.members if number != leader)
        await three.kill(behind)
        for number in range(60):
            await client.put("key", b"%d" % number)
        status = await three.describe(leader)
        assert status
        await three.start(behind)
        caught_up = await wait_until_applied(three, behind, status["applied"])
        assert caught_up["snapshot"] > 1
        await three.kill(leader)
        assert await client.get("key") == b"59"
        client.close()


async def test_a_request_sent_twice_is_done_once(tmp_path):
    async with group(tmp_path) as three:
        channel = await Channel.dial(three.members[await three.leader()].clients)
        opened = await channel.ask(Kind.WRITE, OPEN_SESSION)
        session = ClientSession(msgspec.msgpack.decode(opened.body, type=SessionReply).session)
        write = msgspec.msgpack.encode(Write(Operation.APPEND, "list", b"once"))
        _, request = session.request(write)
        first = await channel.ask(Kind.WRITE, request)
        second = await channel.ask(Kind.WRITE, request)
        assert first.status is second.status is Status.DONE
        assert first.body == second.body
        read = await channel.ask(Kind.READ, b"list")
        assert msgspec.msgpack.decode(read.body) == [b"once"]
        channel.close()


async def test_a_follower_names_the_leader(tmp_path):
    async with group(tmp_path) as three:
        leader = await three.leader()
        other = next(number for number in three.members if number != leader)
        await wait_until_applied(three, other, 2)  # so it has heard of the leader
        channel = await Channel.dial(three.members[other].clients)
        for kind in (Kind.WRITE, Kind.READ):
            reply = await channel.ask(kind, b"")
            assert (reply.status, reply.body) == (Status.NOT_LEADER, b"%d" % leader)
        channel.close()


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 64, b"\0\0\0\x05hello", b"\0\0\0\0", b"GET / HTTP/1"]
)
async def test_garbage_ends_its_connection_and_nothing_else(tmp_path, garbage):
    async with group(tmp_path) as three:
        leader = three.members[await three.leader()]
        for address in (leader.peers, leader.clients):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(garbage)
            writer.write_eof()
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
        client = three.client()
        await client.put("key", b"value")
        assert await client.get("key") == b"value"
        client.close()


async def test_a_leader_cut_off_answers_no_read(tmp_path):
    async with group(tmp_path) as three:
        client = three.client(timeout=20)
        await client.put("key", b"old")
        leader = await three.leader()
        channel = await Channel.dial(three.members[leader].clients)
        three.cut(leader)
        stale = asyncio.create_task(channel.ask(Kind.READ, b"key"))
        await client.put("key", b"new")  # by another leader, whom the first does not know of
        reply = await stale
        assert reply.status is Status.NOT_LEADER
        channel.close()
        client.close()


async def test_nodes_and_clients_show_certificates(tmp_path):
    authority = Authority(tmp_path)
    options, tls = authority.issue("node"), authority.context("client")
    async with group(tmp_path, *options, tls=tls) as three:
        client = three.client()
        await client.put("key", b"value")
        assert await client.get("key") == b"value"
        client.close()
        (tmp_path / "other").mkdir()
        address = three.members[1].clients
        for stranger in (authority.context(None), Authority(tmp_path / "other").context("client")):
            stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
            with pytest.raises(OSError, match=r"(?i)alert|hung up|reset|EOF|closed"):
                await ask_for_status(address, stranger)


async def ask_for_status(address: tuple[str, int], tls: ssl.SSLContext) -> None:
    channel = await Channel.dial(address, tls)
    await channel.ask(Kind.STATUS, b"")


class Authority:
    """Who says who is who, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self._certificate = self._sign(self._name, self._key, authority=True)
        self._path = folder / "authority.pem"
        self._path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        subject = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=authority,
            crl_sign=authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(subject, critical=False)
            .add_extension(issuer, critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )

    def issue(self, name: str) -> list[str]:
        """Return the options of a node that has a certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, authority=False)
        paths = [self._folder / f"{name}.pem", self._folder / f"{name}.key"]
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return [
            *("--certificate", str(paths[0])),
            *("--key", str(paths[1])),
            *("--authority", str(self._path)),
        ]

    def context(self, name: str | None) -> ssl.SSLContext:
        """Return how to dial, with a certificate or without one."""
        context = ssl.create_default_context(cafile=self._path)
        if name is not None:
            _, certificate, _, key, *_ = self.issue(name)
            context.load_cert_chain(certificate, key)
        return context
