"""The proof that a level holds on this machine: a command that tries to get out."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Mapping  # noqa: TC003 - attrs resolves it
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import attrs
import msgspec

from toka.tools._errors import SandboxUnavailableError, ToolError
from toka.tools._resource_limits import ResourceLimits
from toka.tools.process._process import Command, run_process
from toka.tools.sandbox._confinement import confinement
from toka.tools.sandbox._level import SandboxLevel, SandboxPolicy
from toka.types import NANOSECONDS, Json

_PROBE: Final = Path(__file__).with_name("_probe.py")
_SECONDS: Final = 30
_OUTPUT: Final = 1 << 16
_FILES: Final = 77


@attrs.frozen
class SandboxReport:
    """What a command found when it tried."""

    level: SandboxLevel
    facts: Mapping[str, bool]
    """By what was tried: whether it went as it should."""
    failure: str = ""
    """Why there are no facts, if the command could not even be started."""

    @property
    def proven(self) -> bool:
        """Whether everything went as it should."""
        return not self.failure and bool(self.facts) and all(self.facts.values())

    @property
    def weaknesses(self) -> str:
        """What did not hold, as a clause for an error."""
        return self.failure or ", ".join([name for name, held in self.facts.items() if not held])


_reports: dict[SandboxLevel, SandboxReport] = {}


async def prove(level: SandboxLevel) -> SandboxReport:
    """Let a command try to get out of a level; once for this process, as machines do not change.

    It tries to read and write outside of what it was given, to signal this process and read its
    environment, to reach a TCP, a UDP and an abstract socket that listen here, and to make
    namespaces; and that it can do what it was given.
    """
    if level not in _reports:
        _reports[level] = await _try(level)
    return _reports[level]


async def require(level: SandboxLevel) -> None:
    """Demand that this machine proves a level that confines; the others promise nothing to prove.

    Raises:
        SandboxUnavailableError: It does not; nothing was run but the self-test.
    """
    if not level.confines:
        return
    report = await prove(level)
    if not report.proven:
        raise SandboxUnavailableError(
            f"Commands must be kept in a sandbox of level {level}, which this machine does not"
            f" prove: {report.weaknesses}.",
            hint="Run it on Linux 6.12 or newer, or demand a lower level.",
            details={"level": level.value, "facts": dict[str, Json](report.facts)},
        )


async def _try(level: SandboxLevel) -> SandboxReport:
    if level is SandboxLevel.NONE:
        return SandboxReport(level, {"nothing is promised": True})
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="toka-sandbox-")))
        inside, outside = folder / "inside", folder / "outside"
        inside.mkdir()
        outside.mkdir()
        (outside / "secret").write_text("secret")
        command = _command(level, inside, outside, opened)
        try:
            done = await run_process(command, _SECONDS * NANOSECONDS, _OUTPUT)
        except ToolError as error:
            return SandboxReport(level, {}, error.message)
    try:
        facts = msgspec.json.decode(done.stdout, type=dict[str, bool])
    except msgspec.DecodeError:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return SandboxReport(level, {}, f"the command of the self-test failed: {said[:200]}")
    return SandboxReport(level, facts)


def _command(level: SandboxLevel, inside: Path, outside: Path, opened: ExitStack) -> Command:
    directory = os.open(inside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    opened.callback(os.close, directory)
    tcp = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    udp = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    abstract = f"\0toka-sandbox-{os.getpid()}-{tcp.getsockname()[1]}"
    if sys.platform == "linux":
        unix = opened.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(abstract)
        unix.listen()
    asked = {
        "level": level,
        "inside": str(inside),
        "outside": str(outside),
        "program": os.getpid(),
        "tcp": tcp.getsockname()[1],
        "udp": udp.getsockname()[1],
        "abstract": abstract,
        "files": _FILES,
    }
    program = os.path.realpath(sys.executable)
    homes = (Path(sys.base_prefix), Path(sys.prefix), _PROBE.parent)
    kept = confinement(
        SandboxPolicy(level, homes),
        (),
        program=program,
        scratch=inside,
        protected=(),
        network=False,
    )
    argv = (program, "-I", "-S", str(_PROBE), json.dumps(asked))
    limits = ResourceLimits(max_open_files=_FILES)
    return Command(program, argv, directory, {}, b"", limits, kept)
