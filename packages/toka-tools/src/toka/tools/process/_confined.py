"""A program that a tool runs on its own account, kept in a sandbox whatever the policy says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.tools.files._paths import open_directory
from toka.tools.process._process import Command, Finished, run_process
from toka.tools.sandbox._confinement import confinement
from toka.tools.sandbox._level import SandboxLevel, SandboxPolicy
from toka.tools.sandbox._proof import require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toka.capability.core import Permission
    from toka.tools._context import ToolContext
    from toka.tools._resource_limits import ResourceLimits
    from toka.types import Json


@attrs.frozen(kw_only=True)
class Job:
    """One run of a program."""

    program: str
    """Absolute path."""
    argv: tuple[str, ...]
    cwd: str
    """Absolute and free of links."""
    environment: Mapping[str, str]
    stdin: bytes = b""
    scratch: Path | None = None
    """A directory that it may change."""
    readable: tuple[Path, ...] = ()
    """What it may read beside the system's programs and what its permissions open."""
    permissions: tuple[Permission, ...] = ()
    network: bool = False
    limits: ResourceLimits
    timeout_ns: int


async def run_job(job: Job, context: ToolContext, level: SandboxLevel) -> Finished:
    """Run a program to its end at a level.

    Raises:
        SandboxUnavailableError: This machine does not prove the level; nothing was run.
        FileAccessError: The working directory cannot be opened.
        CommandStartError: The system could not start it.
        ToolTimeoutError: It took too long and was ended with all its children.
    """
    await require(level)
    policy = SandboxPolicy(level, (*context.sandbox.readable, *job.readable))
    kept = confinement(
        policy,
        job.permissions,
        program=job.program,
        scratch=job.scratch,
        protected=context.workspace.protected,
        network=job.network,
    )
    with open_directory(job.cwd) as directory:
        command = Command(
            program=job.program,
            argv=job.argv,
            directory=directory,
            environment={**job.environment, **context.environment},
            stdin=job.stdin,
            limits=None if level is SandboxLevel.NONE else job.limits,
            confinement=kept,
        )
        return await run_process(command, job.timeout_ns, context.output_limit_bytes)


def finished_value(finished: Finished, level: SandboxLevel) -> dict[str, Json]:
    """Return how a program ended, as a result tells it."""
    stdout, lossy_out = text_of(finished.stdout)
    stderr, lossy_err = text_of(finished.stderr)
    return {
        "exit_code": finished.exit_code,
        "signal": finished.signal,
        "stdout": stdout,
        "stderr": stderr,
        "truncated": finished.ended_by is not None,
        "ended_by": finished.ended_by,
        "replaced": lossy_out or lossy_err,
        "left_behind": finished.left_behind,
        "cpu_ns": finished.cpu_ns,
        "max_rss_bytes": finished.max_rss_bytes,
        "sandbox": level.value,
    }


def text_of(data: bytes) -> tuple[str, bool]:
    """Return output as text, and whether bytes that are no UTF-8 had to be replaced."""
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode(errors="replace"), True
