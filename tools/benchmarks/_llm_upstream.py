"""A provider that answers at once: canned bytes, whole or in chunks, in a process of its own.

It is no HTTP server to speak of: it finds the end of a request and writes. What is measured is
whoever calls it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Generator

CHUNKS: Final = 50
_LENGTH: Final = b"content-length:"


def _answer() -> bytes:
    message = {"role": "assistant", "content": "word " * 60, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 40, "completion_tokens": 60, "total_tokens": 100}
    body = json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    ).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _stream() -> bytes:
    def event(delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "m",
            "choices": [choice],
        }
        return b"data: %s\n\n" % json.dumps(chunk).encode()

    events = [event({"content": f"word{number} "}) for number in range(CHUNKS)]
    events += [event({}, "stop"), b"data: [DONE]\n\n"]
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + b"".join(b"%x\r\n%s\r\n" % (len(e), e) for e in events) + b"0\r\n\r\n"


class _Provider(asyncio.Protocol):
    _whole = _answer()
    _streamed = _stream()

    def __init__(self) -> None:
        self._held = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        while True:
            head, blank, rest = self._held.partition(b"\r\n\r\n")
            if not blank:
                return
            length = int(head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            body, self._held = rest[:length], rest[length:]
            streamed = b'"stream":true' in body.replace(b" ", b"")
            if self._transport is not None:
                self._transport.write(self._streamed if streamed else self._whole)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def started(*command: str) -> Generator[tuple[str, int]]:
    """Run a server in a process of its own, and give its address and the process."""
    process = subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, *command], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        port = process.stdout.readline().strip()
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def upstream() -> tuple[str, ...]:
    """Return the command that starts the provider."""
    return (str(Path(__file__)),)


if __name__ == "__main__":
    asyncio.run(_serve())
