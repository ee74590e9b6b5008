"""A folder of files about one run of something: how long it took, where, and what it held on to."""

from __future__ import annotations

import os
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.performance._cpu_profile import profile_cpu
from toka.performance._errors import UnreadableResult
from toka.performance._machine import machine
from toka.performance._memory_profile import profile_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from toka.performance._cpu_profile import CpuProfile
    from toka.performance._memory_profile import MemoryProfile

_FACTS: Final = "recording.json"
_CPU_FILES: Final = ("cpu.speedscope.json", "cpu.html", "cpu.txt")
_MEMORY_FILES: Final = ("memory.speedscope.json", "memory.txt")


@attrs.frozen
class Recording:
    """What one run took.

    Attributes:
        name: What ran.
        when: When it began.
        seconds: How long it took.
        cpu_seconds: How long it had the processor, in all threads.

    """

    name: str
    when: str
    seconds: float
    cpu_seconds: float


def record(
    call: Callable[[], object], folder: Path, *, name: str, memory: bool = False
) -> Recording:
    """Run something, and write profiles of it into a folder, also if it fails.

    The files are `cpu.speedscope.json`, `cpu.html` and `cpu.txt`; with `memory` there are
    `memory.speedscope.json` and `memory.txt` instead, because tracing memory falsifies times.

    Raises:
        NotInstalled: the extra `profile` is missing.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = machine()
    names = _MEMORY_FILES if memory else _CPU_FILES
    profile: CpuProfile | MemoryProfile
    with ExitStack() as profiling:
        if memory:
            profile = profiling.enter_context(profile_memory())
        else:
            profile = profiling.enter_context(profile_cpu())
        began, cpu_began = perf_counter(), _cpu_seconds()
        try:
            call()
        finally:
            recording = Recording(
                name, str(facts["when"]), perf_counter() - began, _cpu_seconds() - cpu_began
            )
            profiling.close()
            for file in names:
                profile.save(folder / file)
            data = {"machine": facts, "recording": attrs.asdict(recording)}
            (folder / _FACTS).write_bytes(msgspec.json.encode(data))
    return recording


def read_recording(folder: Path) -> Recording:
    """Return what a folder says of a run.

    Raises:
        UnreadableResult: the folder holds no recording.
    """
    try:
        stored = msgspec.json.decode((folder / _FACTS).read_bytes(), type=_Stored)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableResult(f"{folder} holds no recording: {error}") from error
    return stored.recording


def report_recording(folder: Path) -> str:
    """Return a recording as text for people.

    Raises:
        UnreadableResult: the folder holds no recording.
    """
    found = read_recording(folder)
    head = (
        f"{found.name}, {found.when}: {found.seconds:.3f} s, {found.cpu_seconds:.3f} s of processor"
    )
    texts = [
        path.read_text("utf-8")
        for path in (folder / each for each in (*_CPU_FILES, *_MEMORY_FILES))
        if path.suffix == ".txt" and path.exists()
    ]
    return "\n".join([head, *texts])


class _Stored(msgspec.Struct):
    recording: Recording


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
