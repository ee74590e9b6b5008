"""What stands behind the HTTP face: the engine, the picture of the log, and runs that go on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import attrs

from toka.orchestration_service._answers import Answers
from toka.orchestration_service._executions import Executions
from toka.orchestration_service._feed import Feed
from toka.orchestration_service._live import Live
from toka.orchestration_service._meter import Meter
from toka.orchestration_service._projection import Projection
from toka.orchestration_service._sources import Sources
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from toka.auth import Authenticator, Endpoints
    from toka.orchestration import Orchestrator
    from toka.orchestration_service._facilities import AccessFacts
    from toka.orchestration_service.dashboard._links import SignInLinks
    from toka.runtime import Runtime


@attrs.frozen
class Settings:
    """Where a service works, and how."""

    data_dir: Path
    """Runs keep what they make here."""
    workspace: Path = attrs.field(factory=Path.cwd)
    """What paths of specifications and inputs are relative to; none outside it is read."""
    keep_alive: float = 15.0
    """Seconds between signs of life on a stream of events; its token is checked again then."""
    public_url: str | None = None
    """Scheme, host and port as clients see them, which proofs of possession name (RFC 9449); what
    the request says if left out, which behind a proxy is something else."""
    endpoints: Endpoints | None = None
    """Exchanges, describes and takes back tokens below `/auth`; nothing does if left out."""
    facts: AccessFacts | None = None
    """Tells what is public of keys and of what was taken back."""
    metrics: Callable[[], str] | None = None
    """Returns further metrics in Prometheus' text format, told after the service's own."""
    live: Live = attrs.field(factory=Live)
    """What may be changed while the service runs."""
    links: SignInLinks | None = None
    """Links that sign people in to the dashboard; without, they paste a token."""


class Service:
    """A service that runs. Use `open_service` to get one.

    Attributes:
        orchestrator: The engine.
        authenticator: Decides which tokens are good.
        settings: Where it works.
        projection: What reads are served from.
        feed: What streams of events are served from.
        executions: The runs that go on.
        meter: Counts requests.
        answers: Keeps the newest answers to reads.
        sources: Makes definitions of runs.
        closing: Set when streams are to end.
        version: Of this distribution.
    """

    def __init__(
        self, orchestrator: Orchestrator, authenticator: Authenticator, settings: Settings
    ) -> None:
        self.orchestrator = orchestrator
        self.authenticator = authenticator
        self.settings = settings
        self.projection = Projection(orchestrator.runtime, settings.data_dir / "views.db")
        self.feed = Feed(orchestrator.runtime)
        self.executions = Executions(orchestrator, settings.live)
        self.meter = Meter()
        self.answers = Answers()
        self.sources = Sources(settings)
        self.closing = anyio.Event()
        self.version = version("toka-orchestration-service")
        self._began = self.runtime.clock.monotonic()

    @property
    def runtime(self) -> Runtime:
        """The host of the kernel."""
        return self.orchestrator.runtime

    @property
    def uptime(self) -> float:
        """Seconds since the service was opened."""
        return (self.runtime.clock.monotonic() - self._began) / NANOSECONDS


@asynccontextmanager
async def open_service(
    orchestrator: Orchestrator, authenticator: Authenticator, settings: Settings
) -> AsyncGenerator[Service, None]:
    """Go on with every unfinished run, and follow the log, until the block is left.

    Leaving cancels what runs, which gives its tasks back: the runs can be gone on with at once.

    Args:
        orchestrator: The engine, on a runtime that this process hosts.
        authenticator: Decides which tokens are good.
        settings: Where the service works.

    Raises:
        LogFailed: The log could not be written while the block ran.
        StoreError: The log could not be read while the block ran.
    """
    service = Service(orchestrator, authenticator, settings)
    async with anyio.create_task_group() as group:
        await group.start(service.executions.run)
        group.start_soon(service.projection.follow, name="projection")
        group.start_soon(service.feed.follow, name="feed")
        try:
            yield service
        finally:
            service.closing.set()
            group.cancel_scope.cancel()
