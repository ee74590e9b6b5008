"""An agent that others call by Agent2Agent is a run of Toka under the caller's token."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
import uvicorn
from a2a.client import ClientConfig, create_client
from a2a.helpers import new_text_part
from a2a.types import CancelTaskRequest, Message, Role, SendMessageRequest, TaskState
from google.protobuf.json_format import MessageToDict

from toka.agent_runtime import AgentRuntime
from toka.auth import Authenticator, DpopProofs, MemoryRevocations, MemoryUsedTokens
from toka.capability.delegation import DelegatedValidator
from toka.capability.jwt_hs256 import Hs256Key, JwtHs256Issuer, JwtHs256Validator
from toka.orchestration import VAULT, Orchestrator, TokenDesk, define_run
from toka.runtime import open_runtime
from toka.store.core import open_store
from toka.tools import ToolRegistry, Workspace
from toka.tools.a2a import AgentOptions, Content, Output, Progress, TokenGate, agent_app
from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from toka.tools.a2a import AgentCall, News

pytestmark = pytest.mark.anyio

SPEC = """
metadata: {name: greeter}
inputs:
  said: {default: nothing}
tasks:
  default:
    - id: greet
      description: Write down what was said
      steps:
        - tool: write_file
          with: {path: "${run.artifacts}/said.txt", content: "${inputs.said}"}
          as: written
WAITING
security:
  capabilities_required: ["fs:write:${run.artifacts}/**", "proc:run:sleep"]
"""
WAITING = """
        - tool: run_command
          with: {argv: ["sleep", "60"]}
          as: slept
"""
CALLER = ("agent:message:greeter", "agent:*:**", "fs:*:/**", "proc:run:sleep")


class Runs:
    """An agent of which every task is a run; what it wrote is the task's artifact."""

    def __init__(self, orchestrator: Orchestrator, folder: Path) -> None:
        self.orchestrator = orchestrator
        self._folder = folder

    async def __call__(self, call: AgentCall, /) -> AsyncGenerator[News]:
        definition, _ = define_run(
            [self._folder / "greeter.yaml"],
            {"said": call.text},
            data_dir=self._folder / "data",
            workspace=self._folder,
        )
        # A repeated message of the same task would be the same run.
        token = call.caller.token
        run = await self.orchestrator.begin(definition, token, idempotency_key=call.task_id)
        yield Progress(run)
        try:
            result = await self.orchestrator.execute(run)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.orchestrator.cancel(run, "The task was cancelled.", token)
            raise
        text = await anyio.Path(f"{result.artifacts}/said.txt").read_text()
        yield Output((Content(text=text), Content(data={"state": result.state})), "said")


@asynccontextmanager
async def _stack(folder: Path, key: Hs256Key) -> AsyncIterator[tuple[Orchestrator, TokenDesk, Any]]:
    clock = SystemClock()
    authenticator = Authenticator(
        [DelegatedValidator(JwtHs256Validator([key], clock))],
        clock,
        revoked=MemoryRevocations(),
        proofs=DpopProofs(clock, MemoryUsedTokens(clock)),
        audit=lambda _: None,
    )
    desk = TokenDesk(JwtHs256Issuer(key, clock), clock)
    credential = desk.mint("host", (f"runtime:host:{VAULT}",))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(await open_store(f"sqlite:{folder}/data/log.db"))
        runtime = await stack.enter_async_context(
            open_runtime(store, authenticator, credential, clock=clock)
        )
        agents = AgentRuntime(runtime, ToolRegistry.builtin(), workspace=Workspace(folder))
        yield Orchestrator(runtime, agents, desk), desk, authenticator


@asynccontextmanager
async def _served(app: Any, listening: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve, [listening])
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await anyio.sleep(0.005)
        try:
            yield
        finally:
            server.should_exit = True


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def greeter(folder: Path, *, waits: bool) -> AsyncIterator[tuple[Any, Runs]]:
    """Serve the agent, and connect the official SDK's client to it."""
    (folder / "data").mkdir()
    (folder / "greeter.yaml").write_text(SPEC.replace("WAITING", WAITING if waits else ""))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with _stack(folder, Hs256Key.generate()) as (orchestrator, desk, authenticator):
            runs = Runs(orchestrator, folder)
            gate = TokenGate(authenticator.authenticate, "agent:message:greeter", vault=VAULT)
            options = AgentOptions(name="Greeter", description="Greets.", url=f"{url}/")
            headers = {"Authorization": f"Bearer {desk.mint('ann', CALLER)}"}
            async with (
                _served(agent_app(runs, gate, options), listening),
                httpx.AsyncClient(headers=headers, timeout=20) as http,
            ):
                yield await create_client(url, ClientConfig(httpx_client=http)), runs


def said(text: str) -> SendMessageRequest:
    parts = [new_text_part(text)]
    return SendMessageRequest(message=Message(message_id="m", role=Role.ROLE_USER, parts=parts))


async def test_a_message_is_a_run_and_its_artifact_comes_back(tmp_path: Path) -> None:
    async with greeter(tmp_path, waits=False) as (client, _):
        events = [event async for event in client.send_message(said("hello"))]
    updates = [each for each in events if each.HasField("artifact_update")]
    text, data = updates[0].artifact_update.artifact.parts
    assert text.text == "hello"
    assert MessageToDict(data.data) == {"state": "completed"}
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


async def test_a_cancelled_task_is_a_cancelled_run(tmp_path: Path) -> None:
    async with greeter(tmp_path, waits=True) as (client, runs):
        task, run = "", ""
        async for event in client.send_message(said("hello")):
            if event.HasField("task"):
                task = event.task.id
            elif event.status_update.status.HasField("message"):
                run = event.status_update.status.message.parts[0].text
                break
        with anyio.fail_after(10):
            cancelled = await client.cancel_task(CancelTaskRequest(id=task))
        assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
        with anyio.fail_after(10):
            while run in runs.orchestrator.unfinished():  # noqa: ASYNC110 - as a caller would
                await anyio.sleep(0.01)
