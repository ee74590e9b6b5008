"""Taking a changed configuration while a service runs.

A change is read and built as a whole before anything of it holds: a file with one fault changes
nothing. It is looked for by `stat` every second, and taken once the file has rested for a moment,
so that who writes it in two strokes is not read in between; SIGHUP takes it at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

import anyio
import anyio.to_thread
import attrs
import msgspec

from toka.cli._errors import ServiceConfigUnusable
from toka.cli._service_config import LOG_LEVELS, ServiceConfig, read_service_config
from toka.cli._toolbox import make_toolbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator
    from pathlib import Path

    from anyio.abc import TaskStatus

    from toka.cli._host import Host
    from toka.orchestration_service import Live

POLL_SECONDS: Final = 1.0
REST_SECONDS: Final = 0.25
"""How long a file must have been left alone before it is read."""

logger = logging.getLogger("toka.cli.configuration")
# What changed is told whatever level everything else is told from.
logger.setLevel(logging.INFO)

_HAD_TERMINAL: Final = sys.stdin is not None and sys.stdin.isatty()
_Stamp = tuple[int, int, int] | None


@attrs.define(eq=False)
class Reloader:
    """Holds a service to its configuration file."""

    path: Path
    config: ServiceConfig
    """What holds now."""
    host: Host
    live: Live
    fixed_folder: bool = False
    """The command line said where specifications are, and wins."""
    others: tuple[Path, ...] = ()
    """Files that are read at the start alone; that they changed is said."""
    _stamps: dict[Path, _Stamp] = attrs.field(init=False)
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._stamps = self._look()

    async def start(self) -> None:
        """Let hold what the file said when the service was started.

        Raises:
            ServiceConfigUnusable: It says something that cannot be done.
        """
        await self._take(self.config)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take changes until this is cancelled."""
        async with anyio.create_task_group() as group:
            await group.start(self._on_signal)
            task_status.started()
            while True:
                await anyio.sleep(POLL_SECONDS)
                seen = self._look()
                if seen == self._stamps:
                    continue
                await anyio.sleep(REST_SECONDS)
                if seen == self._look():
                    changed = [path for path, stamp in seen.items() if stamp != self._stamps[path]]
                    self._stamps = seen
                    await self.reload(changed)

    async def _on_signal(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            task_status.started()
            async for _ in signals:
                if _terminal_is_gone():
                    os.kill(os.getpid(), signal.SIGTERM)
                    continue
                self._stamps = self._look()
                logger.info("SIGHUP: reading %s", self.path)
                await self.reload([self.path])

    async def reload(self, changed: Iterable[Path]) -> None:
        """Take what files say now, or say why not."""
        for path in changed:
            if path in self.others:
                logger.warning("%s has changed; it holds from the next start", path)
                continue
            try:
                async with self._lock:
                    await self._read()
            except ServiceConfigUnusable as error:
                logger.error("configuration refused, the old one holds: %s", error)  # noqa: TRY400 - a sentence, no traceback

    async def _read(self) -> None:
        new = read_service_config(self.path, needed=True)
        told = list(_differences(self.config, new))
        await self._take(new)
        self._tell(told)

    async def _take(self, new: ServiceConfig) -> None:
        """Build all that is new, which may fail, and only then let it hold, which does not."""
        current, workspace = self.host.servers.current, self.host.agents.workspace
        # Compiling a guest may take seconds, and leases have to be kept meanwhile.
        toolbox = await anyio.to_thread.run_sync(make_toolbox, new.tools, workspace, current)
        folder = None if self.fixed_folder else new.folder()
        # A key behind a route may have changed where the file has not: models are made anew.
        model = new.make_model()
        await self.host.take(toolbox)
        self.live.workspace = folder
        self.live.unfinished_runs = new.limits.unfinished_runs
        self.live.runs_at_once = new.limits.runs_at_once
        logging.getLogger().setLevel(LOG_LEVELS[new.log_level])
        if new.model or self.config.model:
            await self.host.models.change(model)
        self.config = new

    def _tell(self, told: list[tuple[str, str]]) -> None:
        later = {name for name, _ in told if name.startswith("server.")}
        if self.fixed_folder:
            later |= {name for name, _ in told if name == "agents"}
        now = [f"{name} {change}" for name, change in told if name not in later]
        if now or not told:
            logger.info("configuration taken: %s", "; ".join(now) or "nothing has changed")
        if later:
            logger.warning(
                "configuration: %s holds from the next start: restart the service",
                ", ".join(sorted(later)),
            )

    def _look(self) -> dict[Path, _Stamp]:
        return {path: _stamp(path) for path in (self.path, *self.others)}


@asynccontextmanager
async def held_to(reloader: Reloader) -> AsyncGenerator[None]:
    """Let a configuration hold, and take changes of it as long as the block runs.

    Raises:
        ServiceConfigUnusable: What it says at the start cannot be done.
    """
    await reloader.start()
    async with anyio.create_task_group() as group:
        await group.start(reloader.run)
        yield
        group.cancel_scope.cancel()


def _terminal_is_gone() -> bool:
    """Say whether SIGHUP means what it meant first: the terminal of this process hung up."""
    if not _HAD_TERMINAL:
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return True
    return False


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _differences(old: ServiceConfig, new: ServiceConfig) -> Iterator[tuple[str, str]]:
    """Yield each name whose value is another, with both values."""
    before, after = dict(_flat(old, "")), dict(_flat(new, ""))
    for name in before | after:
        one, other = before.get(name, "nothing"), after.get(name, "nothing")
        if one != other:
            yield name, f"{one} -> {other}"


def _flat(value: object, at: str) -> Iterator[tuple[str, str]]:
    """Yield every single value below one with its path; what says nothing is left out."""
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _flat(getattr(value, field), f"{at}.{field}" if at else field)
    elif isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        for index, item in enumerate(items):
            if isinstance(item, msgspec.Struct):
                yield from _flat(item, f"{at}[{index}]")
        words = [item for item in items if isinstance(item, str)]
        if words or at == "tools.allowed":
            yield at, ", ".join(words) or "none"
    elif value is not None:
        yield at, str(value)
