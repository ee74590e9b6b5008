"""A machine for whole runs: real kernel, runtime, tokens and agent runtime on a store of choice.

What agents do is given as async functions of the test itself; a module on disk leads to them, so
that they are loaded as any entry is.
"""

from __future__ import annotations

import heapq
import json
import sys
from contextlib import asynccontextmanager
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import attrs

from toka.agent_runtime import AgentRuntime
from toka.auth import Authenticator
from toka.capability.core import Claims
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.kernel import decode_body
from toka.orchestration import Orchestrator, TokenDesk, define_run, permissions_of
from toka.runtime import open_runtime
from toka.store.memory import MemoryStore
from toka.tools import ToolRegistry, Workspace
from toka.types import NANOSECONDS, Message, SystemClock, child_agent, ulid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from toka.agent_runtime import TaskContext
    from toka.kernel import Body
    from toka.llm_gateway import Model
    from toka.orchestration import RunDefinition, RunResult
    from toka.runtime import Receipt, Runtime
    from toka.store.core import Absent, EventStore, Expected, NewEvent
    from toka.store.core import Receipt as StoreReceipt
    from toka.types import AgentId, Clock, Json, Operation

    Work = Callable[[TaskContext], Awaitable[Json]]

_modules = count()


class NotingStore(MemoryStore):
    """Notes where each commit ends: a commit is on disk whole or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = [0]

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        streams: Mapping[str, Expected] | None = None,
        head: int | None = None,
        absent: Sequence[Absent] = (),
    ) -> StoreReceipt:
        receipt = await super().append(events, streams=streams or {}, head=head, absent=absent)
        self.ends.append((await self.head()).position)
        return receipt


class VirtualClock:
    """Stands still until it is turned, or turns itself as soon as everybody sleeps."""

    def __init__(self) -> None:
        self._now = SystemClock().now()
        self._sleepers: list[tuple[int, int, anyio.Event]] = []
        self._count = count()

    def now(self) -> int:
        return self._now

    def monotonic(self) -> int:
        return self._now

    async def sleep(self, nanoseconds: int) -> None:
        if nanoseconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        heapq.heappush(self._sleepers, (self._now + nanoseconds, next(self._count), event))
        await event.wait()

    async def turn(self, seconds: float) -> None:
        """Let time pass, and everything happen that happens in it."""
        end = self._now + int(seconds * NANOSECONDS)
        await anyio.wait_all_tasks_blocked()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, event = heapq.heappop(self._sleepers)
            event.set()
            # A store in memory uses no thread, so that what follows from waking up is done after
            # some turns of the loop; `wait_all_tasks_blocked` would take a tenth of a second.
            for _ in range(100):
                await anyio.lowlevel.checkpoint()
        self._now = end


async def at_once(_: TaskContext) -> Json:
    """Do nothing, and be done."""
    return None


async def badly(_: TaskContext) -> Json:
    raise RuntimeError("it broke")


async def forever(_: TaskContext) -> Json:
    await anyio.sleep_forever()
    return None


@attrs.define(eq=False)
class World:
    """A machine: its disk, its clock, and the key that its tokens are signed with."""

    folder: Path
    store: EventStore = attrs.field(factory=MemoryStore)
    clock: Clock = attrs.field(factory=SystemClock)
    model: Callable[[], Model] | None = None
    holder: str = "here"
    key: Hs256Key = attrs.field(factory=Hs256Key.generate)
    module: str = attrs.field(factory=lambda: f"engine_flow_{next(_modules)}")
    lifetime_seconds: int = 3_600
    _tokens: count[int] = attrs.field(factory=count)

    def define(
        self,
        agents: Sequence[dict[str, Json]],
        work: dict[str, Work] | None = None,
        given: dict[str, str] | None = None,
        **settings: Json,
    ) -> RunDefinition:
        """Write specifications and a module of code to disk, and define a run by them."""
        folder = self.folder / "specs"
        folder.mkdir(exist_ok=True)
        self._write_module(folder, {"at_once": at_once, **(work or {})})
        document = {"agents": list(agents)} | ({"orchestration": settings} if settings else {})
        (folder / "agents.json").write_text(json.dumps(document))
        data_dir = self.folder / "data"
        return define_run([folder], given or {}, data_dir=data_dir, workspace=self.folder)[0]

    def _write_module(self, folder: Path, work: dict[str, Work]) -> None:
        lines = [f"async def {name}(ctx): return await WORK['{name}'](ctx)" for name in work]
        (folder / f"{self.module}.py").write_text("WORK = {}\n" + "\n".join(lines) + "\n")
        sys.modules.pop(self.module, None)
        sys.path.insert(0, str(folder))
        try:
            import_module(self.module).WORK.update(work)
        finally:
            sys.path.remove(str(folder))

    def agent(
        self,
        name: str,
        *tasks: dict[str, Json],
        requires: Sequence[str] = (),
        optional: Sequence[str] = (),
        work: str = "at_once",
        **blocks: Json,
    ) -> dict[str, Json]:
        """Return an agent of one task called `work` unless others are given."""
        return {
            "name": name,
            "entry": f"{self.module}:{work}",
            "tasks": {"default": list(tasks) or [task("work")]},
            "dependencies": {
                "required": dict.fromkeys(requires, "needed"),
                "optional": dict.fromkeys(optional, "welcome"),
            },
            **blocks,
        }

    def token(self, *permissions: str, subject: str = "person") -> str:
        seconds = self.clock.now() // NANOSECONDS
        name = ulid(self.clock.now() // 1_000_000, next(self._tokens).to_bytes(10, "big"))
        claims = Claims(subject, "toka", permissions, seconds, seconds + 86_400, name)
        return JwtHs256Issuer(self.key, self.clock).issue(claims)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Host]:
        """Switch the machine on."""
        authenticator = Authenticator([JwtHs256Validator([self.key], self.clock)], self.clock)
        credential = self.token("runtime:host:toka")
        issuer = JwtHs256Issuer(self.key, self.clock)
        desk = TokenDesk(issuer, self.clock, lifetime_seconds=self.lifetime_seconds)
        async with open_runtime(
            self.store, authenticator, credential, clock=self.clock, holder=self.holder
        ) as runtime:
            agents = AgentRuntime(
                runtime, ToolRegistry.builtin(), self.model, Workspace(self.folder)
            )
            yield Host(self, runtime, agents, desk, Orchestrator(runtime, agents, desk))

    async def run(self, definition: RunDefinition) -> RunResult:
        """Switch the machine on for one run."""
        async with self.open() as host:
            return await host.run(definition)

    async def bodies(self) -> list[Body]:
        """Return what every event says."""
        return [decode_body(event.kind, event.payload) async for event in self.store.read()]


@attrs.define(eq=False)
class Host:
    """A machine that is on."""

    world: World
    runtime: Runtime
    agents: AgentRuntime
    desk: TokenDesk
    orchestrator: Orchestrator

    async def begin(self, definition: RunDefinition) -> AgentId:
        token = self.world.token(*permissions_of(definition))
        return await self.orchestrator.begin(definition, token)

    async def run(self, definition: RunDefinition) -> RunResult:
        return await self.orchestrator.execute(await self.begin(definition))

    async def submit(self, operation: Operation, *permissions: str) -> Receipt:
        """Do something as a person who may do anything to agents."""
        token = self.world.token(*(permissions or ("agent:*:**", "task:*:**")))
        return await self.runtime.submit(Message(token, operation))


def task(name: str, *, after: Sequence[str] = (), **more: Json) -> dict[str, Json]:
    return {"id": name, "description": f"do {name}", "depends_on": list(after), **more}


def states(result: RunResult) -> dict[str, str]:
    return {each.agent.rpartition("/")[2]: each.state for each in result.agents}


def reasons(result: RunResult) -> dict[str, str]:
    return {each.agent.rpartition("/")[2]: each.reason for each in result.agents}


def path(run: AgentId, name: str) -> AgentId:
    return child_agent(run, name)


async def copy_log(store: EventStore, events: int | None = None) -> MemoryStore:
    """Return a store with the first events of another one."""
    copy = MemoryStore()
    head = 0
    async for event in store.read():
        if head == events:
            break
        await copy.append([event.new()], head=head)
        head += 1
    return copy
