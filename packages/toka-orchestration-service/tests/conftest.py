"""The real stack on a real file, behind a real socket."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import attrs
import pytest

from toka.agent_runtime import AgentRuntime
from toka.auth import Authenticator, DpopProofs, MemoryRevocations, MemoryUsedTokens
from toka.capability.core import Hop
from toka.capability.delegation import DelegatedValidator
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.orchestration import VAULT, Orchestrator, TokenDesk
from toka.orchestration_service import Settings, serve
from toka.runtime import Runtime, open_runtime
from toka.store.core import open_store
from toka.tools import ToolRegistry, Workspace
from toka.types import SystemClock

OPERATOR = (
    "run:*:*",
    "agent:*:**",
    "event:read:**",
    "approval:resolve:**",
    "person:ask:*",
    "metrics:read:*",
    "tool:read:*",
    "key:read:*",
    "fs:*:/**",
)

SPECS = {
    "hello.yaml": """
metadata: {name: hello}
inputs:
  name: {default: world}
tasks:
  default:
    - id: greet
      description: Write a greeting
      steps:
        - tool: write_file
          with: {path: "${run.artifacts}/hello.txt", content: "Hello, ${inputs.name}!"}
          as: written
security:
  capabilities_required: ["fs:write:${run.artifacts}/**"]
""",
    "asking.yaml": """
metadata: {name: asking}
tasks:
  default:
    - {id: ask, description: Ask a person, entry: "MODULE:ask"}
""",
    "inquiring.yaml": """
metadata: {name: inquiring}
inputs:
  timeout: {default: "3600"}
tasks:
  default:
    - {id: ask, description: Ask where to go, entry: "MODULE:inquire"}
security:
  capabilities_required: ["person:ask:operator"]
""",
    "MODULE.py": """
SCHEMA = {
    "type": "object",
    "properties": {"where": {"enum": ["here", "there"]}, "days": {"type": "integer"}},
    "required": ["where"],
}


async def inquire(ctx):
    await ctx.observe("before", 1)
    timeout = float(ctx.inputs["timeout"])
    said = await ctx.tool("ask_person", question="Where to?", schema=SCHEMA, timeout=timeout)
    await ctx.observe("after", said)
    return said

async def ask(ctx):
    await ctx.observe("before", 1)
    return {"approved": await ctx.approve("May I?")}

async def tick(ctx):
    while True:
        await ctx.observe("tick", 1)
""",
    "ticking.yaml": """
metadata: {name: ticking}
tasks:
  default:
    - {id: tick, description: Tick for ever, entry: "MODULE:tick"}
""",
    "broken.yaml": "metadata: {name: broken}\ntaks: {}\n",
}


_numbers = count()


class Counter:
    """Counts acts of tokens with a rate, and refuses none."""

    def __init__(self) -> None:
        self.acts = 0

    def denial(self, accounts: Sequence[Hop]) -> None:
        assert accounts
        self.acts += 1


@attrs.frozen
class Served:
    """A service that answers, and a client of it."""

    url: str
    session: aiohttp.ClientSession
    runtime: Runtime
    desk: TokenDesk
    revocations: MemoryRevocations
    orchestrator: Orchestrator
    authenticator: Authenticator
    counter: Counter

    def token(self, *permissions: str) -> str:
        return self.desk.mint("tester", permissions or OPERATOR)

    async def ask(
        self, path: str, *, token: str | None = None, method: str = "GET", **how: Any
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        headers = {"Authorization": f"Bearer {token or self.token()}", **how.pop("headers", {})}
        async with self.session.request(method, self.url + path, headers=headers, **how) as answer:
            is_json = "json" in answer.content_type
            body = await answer.json(content_type=None) if is_json else await answer.text()
            return answer.status, body, answer

    async def begin(self, source: object, **how: Any) -> str:
        status, body, _ = await self.ask("/v1/runs", method="POST", json={"source": source}, **how)
        assert status == 201, body
        return body["run"]["run"]

    async def until(self, path: str, true: Callable[[Any], bool]) -> Any:
        """Ask again and again, as a client would, until the answer satisfies."""
        with anyio.fail_after(10):
            while True:
                _, body, _ = await self.ask(path)
                if true(body):
                    return body
                await anyio.sleep(0.005)

    async def ended(self, run: str) -> Any:
        return await self.until(f"/v1/runs/{run}", lambda body: body["run"]["ended"] is not None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    # A process imports a module once, whatever folder it was in: each test has its own name.
    module = f"asking_{next(_numbers)}"
    for name, text in SPECS.items():
        (folder / name.replace("MODULE", module)).write_text(text.replace("MODULE", module))
    return folder


Opener = Callable[[], AbstractAsyncContextManager[Served]]


@pytest.fixture
def opener(tmp_path: Path, workspace: Path) -> Opener:
    """Opens the service on one data directory; again, as after a restart."""
    key = Hs256Key.generate()

    @asynccontextmanager
    async def open_it() -> AsyncIterator[Served]:
        clock = SystemClock()
        revocations = MemoryRevocations()
        counter = Counter()
        authenticator = Authenticator(
            [DelegatedValidator(JwtHs256Validator([key], clock))],
            clock,
            revoked=revocations,
            proofs=DpopProofs(clock, MemoryUsedTokens(clock)),
            rates=counter,
            audit=lambda _: None,
        )
        desk = TokenDesk(JwtHs256Issuer(key, clock), clock)
        credential = desk.mint("host", (f"runtime:host:{VAULT}",))
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(await open_store(f"sqlite:{data}/log.db"))
            runtime = await stack.enter_async_context(
                open_runtime(store, authenticator, credential, clock=clock)
            )
            agents = AgentRuntime(runtime, ToolRegistry.builtin(), workspace=Workspace(workspace))
            orchestrator = Orchestrator(runtime, agents, desk)
            url = await stack.enter_async_context(
                serve(
                    orchestrator,
                    authenticator,
                    Settings(data, workspace, keep_alive=0.05),
                    port=0,
                )
            )
            session = await stack.enter_async_context(aiohttp.ClientSession())
            yield Served(
                url, session, runtime, desk, revocations, orchestrator, authenticator, counter
            )

    return open_it


@pytest.fixture
async def served(opener: Opener) -> AsyncIterator[Served]:
    async with opener() as served:
        yield served
