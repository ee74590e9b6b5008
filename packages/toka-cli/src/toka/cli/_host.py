"""The whole stack of one process: log, kernel, agent runtime and engine on a data directory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from toka.cli._authenticator import open_authenticator
from toka.cli._mcp_servers import McpServers
from toka.cli._models import Models
from toka.cli._telemetry import NOT_OBSERVED
from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.agent_runtime import AgentRuntime
    from toka.cli._authenticator import Access
    from toka.cli._data_directory import DataDirectory, Keys
    from toka.cli._telemetry import Observation
    from toka.cli._toolbox import Toolbox
    from toka.orchestration import Orchestrator, TokenDesk
    from toka.runtime import Runtime
    from toka.tools import Workspace


@attrs.frozen
class Host:
    """A stack that runs."""

    runtime: Runtime
    orchestrator: Orchestrator
    desk: TokenDesk
    keys: Keys
    access: Access
    agents: AgentRuntime
    models: Models
    servers: McpServers

    async def take(self, toolbox: Toolbox) -> None:
        """Let agents have these tools from their next step on."""
        await self.servers.change(toolbox.servers)
        self.agents.tools = toolbox.registry


def workspace_of(data: DataDirectory) -> Workspace:
    """Return where agents of a data directory work: here, but not in what the log is made of."""
    from toka.tools import Workspace  # noqa: PLC0415 - not for --help

    closed = (data.path / "keys", data.log, data.notes.parent)
    return Workspace(Path.cwd(), protected=closed, notes=data.notes)


@asynccontextmanager
async def open_host(
    data: DataDirectory, observation: Observation = NOT_OBSERVED, *, sandbox: str = "limits"
) -> AsyncGenerator[Host, None]:
    """Open a data directory as its only writer, and stand up everything above it.

    Args:
        data: The directory.
        observation: Is told what is done; nobody is by default.
        sandbox: The level that the commands of agents are kept in.

    Raises:
        SandboxUnavailableError: This machine does not prove that level.
        StoreError: The log is locked (with the holder), damaged, newer or not to be written.
        KeyFileError: The signing key cannot be used.
        RevocationError: What was taken back cannot be read.
        UsedTokensError: The file of used proofs cannot be used.
    """
    # Imported here because `toka --help` and `toka status` need none of it.
    from toka.agent_runtime import AgentRuntime  # noqa: PLC0415
    from toka.orchestration import VAULT, Orchestrator, TokenDesk  # noqa: PLC0415
    from toka.runtime import open_runtime  # noqa: PLC0415
    from toka.tools import SandboxLevel, SandboxPolicy, ToolRegistry  # noqa: PLC0415
    from toka.tools.sandbox import require  # noqa: PLC0415

    clock, level = SystemClock(), SandboxLevel(sandbox)
    await require(level)
    async with data.open_log(read_only=False) as store:
        keys = data.keys(clock)
        desk = TokenDesk(keys.issuer, clock)
        credential = desk.mint("host", (f"runtime:host:{VAULT}",))
        async with (
            open_authenticator(data, keys, clock) as access,
            open_runtime(
                store, access.authenticator, credential, clock=clock, tracing=observation.tracing
            ) as runtime,
            Models() as models,
            McpServers() as servers,
        ):
            agents = AgentRuntime(
                runtime,
                ToolRegistry.builtin(),
                models.get,
                workspace=workspace_of(data),
                sandbox=SandboxPolicy(level),
            )
            orchestrator = Orchestrator(runtime, agents, desk)
            with observation.watched(runtime):
                yield Host(runtime, orchestrator, desk, keys, access, agents, models, servers)
