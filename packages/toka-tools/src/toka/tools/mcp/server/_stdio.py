"""A server on standard input and output: one JSON message a line, both eras on one pair of pipes.

Answers of one turn of the event loop leave in one write. What a tool prints goes to standard error:
standard output is the protocol's alone.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

import msgspec

from toka.tools.mcp._errors import INVALID_PARAMS, NOT_ADMITTED, PARSE_ERROR, ProtocolError
from toka.tools.mcp._messages import MAX_MESSAGE_BYTES, Message, decode, encode_error, id_in
from toka.tools.mcp.server._eras import (
    agreed_in,
    check_stateless,
    declared_in,
    handshake_result,
    says_revision,
)
from toka.tools.mcp.server._exchange import Exchange, error_object
from toka.tools.mcp.server._principals import ANYBODY, Gate, NotAdmittedError, OpenGate
from toka.tools.mcp.server._sessions import DuplicateIdError, Session

if TYPE_CHECKING:
    from collections.abc import Generator

    from toka.tools.mcp._messages import RequestId
    from toka.tools.mcp.server._principals import Principal
    from toka.tools.mcp.server._server import McpServer
    from toka.types import JsonObject

SETTLE_SECONDS: Final = 0.5
"""How long a call may go on after the client has closed its end."""
MAX_BACKLOG: Final = 4 << 20
"""Bytes that the client has not read, before what may be left out is."""


async def serve_stdio(
    server: McpServer,
    *,
    gate: Gate | None = None,
    credential: str | None = None,
    stdin: int = 0,
    stdout: int = 1,
) -> None:
    """Serve one client until it closes its end.

    Args:
        server: What to serve; entered by the caller.
        gate: Lets the client in; anybody, if left out.
        credential: The token from the environment, for the gate. It is checked at each request.
        stdin: The file descriptor to read; a pipe, a socket or a terminal.
        stdout: The file descriptor to write.

    Raises:
        NotAdmittedError: The credential is not accepted at the start.
    """
    gate = gate if gate is not None else OpenGate()
    gate.admit(credential)
    loop = asyncio.get_running_loop()
    with _own(stdin) as source, _kept_clean(stdout) as sink:
        pipe = _Pipe()
        writer, _ = await loop.connect_write_pipe(lambda: pipe, sink)
        peer = StdioPeer(server, _Writer(writer, pipe), gate, credential)
        reader, _ = await loop.connect_read_pipe(lambda: peer, source)
        try:
            await peer.over
            await peer.settle()
        finally:
            peer.end()
            reader.close()
            await pipe.drain()
            writer.close()


@contextmanager
def _own(descriptor: int) -> Generator[object]:
    with os.fdopen(os.dup(descriptor), "rb", buffering=0) as file:
        yield file


@contextmanager
def _kept_clean(stdout: int) -> Generator[object]:
    """Keep standard output for ourselves, and let everybody else's go to standard error."""
    with os.fdopen(os.dup(stdout), "wb", buffering=0) as file:
        if stdout != 1:
            yield file
            return
        os.dup2(2, 1)
        try:
            yield file
        finally:
            os.dup2(file.fileno() if not file.closed else 2, 1)


class _Pipe(asyncio.BaseProtocol):
    """Knows whether the other end of a pipe keeps up."""

    def __init__(self) -> None:
        self._room = asyncio.Event()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        self._room.set()

    async def drain(self) -> None:
        await self._room.wait()


class _Writer:
    """Lines for the client; those of one turn of the loop are written together."""

    __slots__ = ("_loop", "_pipe", "_transport", "_waiting")

    def __init__(self, transport: asyncio.WriteTransport, pipe: _Pipe) -> None:
        self._transport = transport
        self._pipe = pipe
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def write(self, message: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(message)

    def flush(self) -> None:
        if self._waiting:
            self._waiting.append(b"")
            self._transport.write(b"\n".join(self._waiting))
            self._waiting.clear()

    @property
    def is_full(self) -> bool:
        return self._transport.get_write_buffer_size() > MAX_BACKLOG

    async def drain(self) -> None:
        await self._pipe.drain()


class _Line:
    """The outlet of one request; they all lead into the same pipe."""

    __slots__ = ("_id", "_peer")

    def __init__(self, peer: StdioPeer, request_id: RequestId | None) -> None:
        self._peer = peer
        self._id = request_id

    async def send(self, message: bytes) -> None:
        self._peer.writer.write(message)
        await self._peer.writer.drain()

    def offer(self, message: bytes) -> bool:
        if self._peer.writer.is_full:
            return False
        self._peer.writer.write(message)
        return True

    def finish(self, message: bytes | None, number: int = 0) -> None:  # noqa: ARG002 - HTTP's
        if message is not None:
            self._peer.writer.write(message)
        if self._id is not None:
            self._peer.running.pop(self._id, None)


class StdioPeer(asyncio.Protocol):
    """The client at the other end of the pipes."""

    def __init__(
        self, server: McpServer, writer: _Writer, gate: Gate, credential: str | None
    ) -> None:
        self.writer = writer
        self.running: dict[RequestId, Exchange] = {}
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._server = server
        self._gate = gate
        self._credential = credential
        self._session: Session | None = None
        self._rest = bytearray()
        self._skipping = False

    def data_received(self, data: bytes) -> None:
        """Take the lines that are complete."""
        first, newline, others = data.partition(b"\n")
        if not newline:
            self._keep(first)
            return
        if self._skipping:
            self._skipping = False
        else:
            self._take(bytes(self._rest) + first if self._rest else first)
        self._rest.clear()
        lines = others.split(b"\n")
        self._keep(lines.pop())
        for line in lines:
            self._take(line)

    def _keep(self, part: bytes) -> None:
        if self._skipping:
            return
        if len(self._rest) + len(part) > MAX_MESSAGE_BYTES:
            self._rest.clear()
            self._skipping = True
            self._complain(None, _too_long())
        else:
            self._rest += part

    def eof_received(self) -> None:
        """End with the input."""
        self._finish()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """End with the input."""
        self._finish()

    def _finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    async def settle(self) -> None:
        """Let what was asked before the input ended come to its end, if it does so soon."""
        tasks = [each.task for each in self.running.values() if each.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=SETTLE_SECONDS)

    def end(self) -> None:
        """End what is still being done, and write what is not written."""
        for exchange in tuple(self.running.values()):
            self._server.cancel(exchange)
        if self._session is not None:
            self._session.end()
        self.writer.flush()

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        if len(line) > MAX_MESSAGE_BYTES:
            self._complain(None, _too_long())
            return
        try:
            message = decode(line)
        except ProtocolError as error:
            self._complain(id_in(line), error)
            return
        if message.is_request:
            self._request(message)
        elif message.is_response:
            if self._session is not None:
                self._session.resolve(message)
        elif message.method == "notifications/cancelled":
            self._cancel(message)

    def _complain(self, request_id: RequestId | None, error: ProtocolError) -> None:
        self.writer.write(encode_error(request_id, error_object(error)))

    def _cancel(self, message: Message) -> None:
        params = cast("JsonObject", {} if message.params is msgspec.UNSET else message.params)
        wanted = params.get("requestId")
        exchange = self.running.get(wanted) if isinstance(wanted, (int, str)) else None
        if exchange is not None:
            self._server.cancel(exchange)

    def _request(self, message: Message) -> None:
        request_id = cast("RequestId", message.id)
        try:
            exchange = self._exchange(message, request_id)
            if exchange is None:
                return
            if request_id in self.running:
                raise DuplicateIdError("A request with this id is still being answered.")
        except ProtocolError as error:
            named = None if isinstance(error, DuplicateIdError) else request_id
            self._complain(named, error)
            return
        self.running[request_id] = exchange
        self._server.receive(exchange)

    def _exchange(self, message: Message, request_id: RequestId) -> Exchange | None:
        """Return the request in its era; None for the handshake, which is answered at once."""
        method = cast("str", message.method)
        params = cast("JsonObject", {} if message.params is msgspec.UNSET else message.params)
        principal, outlet = self._principal(), _Line(self, request_id)
        if says_revision(params) or (self._session is None and method != "initialize"):
            declared = declared_in(params)
            check_stateless(declared.revision)
            revision, capabilities = declared.revision, declared.capabilities
            return Exchange(request_id, method, params, principal, outlet, revision, capabilities)
        if method == "initialize":
            self._shake_hands(request_id, params, principal)
            return None
        session = cast("Session", self._session)
        session.principal = principal
        revision, capabilities = session.revision, session.capabilities
        return Exchange(
            request_id, method, params, principal, outlet, revision, capabilities, session
        )

    def _principal(self) -> Principal:
        if not self._gate.wants_credential:
            return ANYBODY
        try:
            return self._gate.admit(self._credential)
        except NotAdmittedError as error:
            raise ProtocolError(error.message, NOT_ADMITTED) from error

    def _shake_hands(self, request_id: RequestId, params: JsonObject, principal: Principal) -> None:
        if self._session is not None:
            raise ProtocolError("There was a handshake already.", INVALID_PARAMS)
        agreed = agreed_in(params)
        session = Session("stdio", principal, agreed.revision, agreed.capabilities, 0)
        session.outlet = _Line(self, None)
        self._session = session
        self._server.host.subscriptions.join(session)
        outlet = _Line(self, request_id)
        Exchange(
            request_id,
            "initialize",
            params,
            principal,
            outlet,
            agreed.revision,
            agreed.capabilities,
            session,
        ).answer(handshake_result(self._server.host, agreed))


def _too_long() -> ProtocolError:
    return ProtocolError(f"A message has at most {MAX_MESSAGE_BYTES} bytes.", PARSE_ERROR)
