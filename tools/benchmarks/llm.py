"""Calls of a model through the gateway: in process, streamed, and through its server.

The provider is a process beside that answers at once (`_llm_upstream.py`). Ours calls with retry, a
budget that is set aside and settled, and secrets redacted. The floor is aiohttp with `json`. What
is counted in processor time says what a call costs whatever else the machine does.
"""
# Peers are installed for benchmarks only, so their types cannot be known where types are checked.
# pyright: basic, reportMissingImports=false
# ruff: noqa: PLC0415 - each peer is loaded by its own measure

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks._llm_upstream import CHUNKS, started, upstream
from workshop.measure import Measure, NotInstalled, at_least, at_most

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_CALLS: Final = 300
_STREAMS: Final = 40
_AT_ONCE: Final = 32
_MANY: Final = 20_000
_PROMPT: Final = "Explain this function to a new colleague, with an example. " * 5
_BODY: Final = {"model": "m", "messages": [{"role": "user", "content": _PROMPT}]}
_GATEWAY: Final = str(Path(__file__).with_name("_llm_gateway.py"))
_LITELLM: Final = "import os; os.environ['LITELLM_LOCAL_MODEL_COST_MAP'] = 'True'; import litellm"
"""Without the setting, its import asks another machine for prices."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def measures() -> list[Measure]:
    """Return what is measured."""
    clients = {"ours": ours, "bare aiohttp": bare, "openai": openai, "litellm": litellm}
    return [
        Measure(
            "one call after another, processor time",
            "ms/call",
            {name: partial(_cpu, client, _CALLS) for name, client in clients.items()},
            [at_most(1.9, times="bare aiohttp")],
        ),
        Measure(
            "one call after another, median",
            "ms",
            {name: partial(_median, client, _CALLS) for name, client in clients.items()},
            [at_most(1.65, times="bare aiohttp")],
        ),
        Measure(
            f"{_AT_ONCE} calls at once",
            "calls/s",
            {name: partial(_rate, client, 4 * _CALLS) for name, client in clients.items()},
            [at_least(0.67, times="bare aiohttp")],
        ),
        Measure(
            "a stream, checked and assembled, processor time",
            "ms/chunk",
            {name: partial(_cpu_stream, client) for name, client in clients.items()},
            # Validated is passed through, too: there is one way, and the harder bar is for that.
            [at_most(3.75, times="bare aiohttp"), at_most(2, times="bare aiohttp")],
        ),
        Measure(
            "the server, processor time",
            "ms/request",
            {"ours": partial(_server, stream=False)},
            [at_most(1.67)],
        ),
        Measure(
            "the server, processor time of a stream",
            "ms/chunk",
            {"ours": partial(_server, stream=True)},
            [at_most(0.2)],
        ),
        Measure(
            "added by the server, median",
            "ms",
            {"ours": _added},
            [at_most(1.5)],
        ),
        Measure(
            f"the server, memory that {_MANY:,} requests add",
            "MiB",
            {"ours": _growth},
            [at_most(2)],
        ),
        Measure(
            "import toka.llm_gateway, processor time",
            "s",
            {
                "ours": partial(_import, "import toka.llm_gateway", _seconds),
                "openai": partial(_import, "import openai", _seconds),
                "litellm": partial(_import, _LITELLM, _seconds),
                "aiohttp": partial(_import, "import aiohttp", _seconds),
            },
            [at_most(0.1)],
        ),
        Measure(
            "import toka.llm_gateway, memory",
            "MiB",
            {
                "ours": partial(_import, "import toka.llm_gateway", _memory),
                "ours, with aiohttp": partial(_import, "import toka.llm_gateway, aiohttp", _memory),
                "openai": partial(_import, "import openai", _memory),
                "litellm": partial(_import, _LITELLM, _memory),
            },
            [at_most(25)],
        ),
    ]


class Client:
    """Somebody who calls: opens, makes calls and streams, and closes."""

    def __init__(
        self,
        call: Callable[[], Awaitable[object]],
        stream: Callable[[], Awaitable[int]],
        close: Callable[[], Awaitable[object]],
    ) -> None:
        self.call, self.stream, self.close = call, stream, close


def ours(address: str) -> Client:
    """Return the gateway in process: retries, a budget, redaction."""
    from toka.llm_gateway import ModelMessage, ModelRequest, OpenAIChatModel, TextDelta
    from toka.llm_gateway.guards import GuardedModel, SecretRedactor
    from toka.llm_gateway.server import Account, LocalTenant, MemoryLedger
    from toka.llm_gateway.server._spending import Spending
    from toka.types import Budget

    model = GuardedModel(
        OpenAIChatModel("m", None, base_url=f"{address}/v1"), prompt=[SecretRedactor()]
    )
    ledger = MemoryLedger()
    tenant = LocalTenant("bench", (Account("a", Budget(tokens=10**12)),))

    def asked() -> ModelRequest:
        return ModelRequest((ModelMessage.user(_PROMPT),))

    async def call() -> None:
        request = asked()
        spending = Spending(ledger, tenant, model, request)
        try:
            spending.saw(await model.complete(request))
        finally:
            spending.settle()

    async def stream() -> int:
        return sum([isinstance(event, TextDelta) async for event in model.stream(asked())])

    return Client(call, stream, model.aclose)


def bare(address: str) -> Client:
    """Return the floor: aiohttp, and `json` for what goes and comes."""
    import aiohttp

    session = aiohttp.ClientSession(address)

    async def call() -> None:
        async with session.post("/v1/chat/completions", json=_BODY) as answer:
            json.loads(await answer.read())["choices"][0]["message"]["content"]

    async def stream() -> int:
        count = 0
        body = {**_BODY, "stream": True}
        async with session.post("/v1/chat/completions", json=body) as answer:
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    said = json.loads(line[6:])["choices"][0]["delta"]
                    count += "content" in said
        return count

    return Client(call, stream, session.close)


def openai(address: str) -> Client:
    """Return OpenAI's own SDK."""
    try:
        from openai import AsyncOpenAI
    except ImportError as error:
        raise NotInstalled("openai") from error
    client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any")
    body: dict[str, Any] = dict(_BODY)

    async def call() -> None:
        await client.chat.completions.create(**body)

    async def stream() -> int:
        chunks = await client.chat.completions.create(**body, stream=True)
        return sum([bool(chunk.choices[0].delta.content) async for chunk in chunks])

    return Client(call, stream, client.close)


def litellm(address: str) -> Client:
    """Return LiteLLM's SDK, with its own prices."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    try:
        import litellm as sdk
    except ImportError as error:
        raise NotInstalled("litellm") from error
    sdk.suppress_debug_info = True
    body: dict[str, Any] = {
        "model": "openai/m",
        "messages": _BODY["messages"],
        "api_base": f"{address}/v1",
        "api_key": "any",
    }

    async def call() -> None:
        await sdk.acompletion(**body)

    async def stream() -> int:
        chunks = await sdk.acompletion(**body, stream=True)
        return sum([bool(chunk.choices[0].delta.content) async for chunk in chunks])

    return Client(call, stream, sdk.close_litellm_async_clients)


def _with(make: Callable[[str], Client], work: Callable[[Client], Awaitable[float]]) -> float:
    async def run(address: str) -> float:
        client = make(address)
        try:
            for _ in range(10):
                await client.call()
            return await work(client)
        finally:
            await client.close()

    with started(*upstream()) as (address, _):
        return asyncio.run(run(address))


def _cpu(make: Callable[[str], Client], calls: int) -> float:
    async def work(client: Client) -> float:
        began = time.process_time()
        for _ in range(calls):
            await client.call()
        return (time.process_time() - began) * 1000 / calls

    return _with(make, work)


def _median(make: Callable[[str], Client], calls: int) -> float:
    async def work(client: Client) -> float:
        return await _middle(client.call, calls)

    return _with(make, work)


async def _middle(call: Callable[[], Awaitable[object]], calls: int) -> float:
    took: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        took.append(time.perf_counter() - began)
    return sorted(took)[calls // 2] * 1000


def _rate(make: Callable[[str], Client], calls: int) -> float:
    async def work(client: Client) -> float:
        began = time.perf_counter()
        await _many(client, calls)
        return calls / (time.perf_counter() - began)

    return _with(make, work)


def _cpu_stream(make: Callable[[str], Client]) -> float:
    async def work(client: Client) -> float:
        began = time.process_time()
        for _ in range(_STREAMS):
            if await client.stream() != CHUNKS:
                raise ValueError("chunks are missing")
        return (time.process_time() - began) * 1000 / _STREAMS / CHUNKS

    return _with(make, work)


def _server(*, stream: bool) -> float:
    with started(*upstream()) as (provider, _), started(_GATEWAY, provider) as (address, process):

        async def work(client: Client) -> float:
            before = _used(process)
            for _ in range(_STREAMS if stream else _CALLS):
                await (client.stream() if stream else client.call())
            used = (_used(process) - before) * 1000
            return used / _STREAMS / CHUNKS if stream else used / _CALLS

        return asyncio.run(_at(address, work))


async def _at(address: str, work: Callable[[Client], Awaitable[float]]) -> float:
    client = bare(address)
    try:
        for _ in range(20):
            await client.call()
        return await work(client)
    finally:
        await client.close()


def _added() -> float:
    with started(*upstream()) as (provider, _), started(_GATEWAY, provider) as (address, _):

        async def work(client: Client) -> float:
            return await _middle(client.call, _CALLS)

        return asyncio.run(_at(address, work)) - asyncio.run(_at(provider, work))


def _growth() -> float:
    with started(*upstream()) as (provider, _), started(_GATEWAY, provider) as (address, process):

        async def work(client: Client) -> float:
            await _many(client, 1_000)
            before = _resident(process)
            await _many(client, _MANY)
            return max(0.0, _resident(process) - before)

        return asyncio.run(_at(address, work))


async def _many(client: Client, calls: int) -> None:
    async def caller() -> None:
        for _ in range(calls // _AT_ONCE):
            await client.call()

    await asyncio.gather(*[caller() for _ in range(_AT_ONCE)])


def _resident(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _used(process: int) -> float:
    """Return the seconds of processor time that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


_seconds: Final = "u = resource.getrusage(resource.RUSAGE_SELF); print(u.ru_utime + u.ru_stime - b)"
_memory: Final = (
    "print(int(open('/proc/self/status').read().partition('VmRSS:')[2].split()[0]) / 1024)"
)


def _import(statement: str, shown: str) -> float:
    used = "u = resource.getrusage(resource.RUSAGE_SELF); b = u.ru_utime + u.ru_stime"
    code = f"import resource; {used}; {statement}; {shown}"
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotInstalled(statement)
    return float(done.stdout)
