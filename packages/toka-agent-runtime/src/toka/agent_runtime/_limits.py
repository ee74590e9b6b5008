"""Resource limits of a task, from a specification to what enforces them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from toka.agent_runtime._errors import PlaybookInvalid
from toka.agent_runtime._quantities import parse_bytes, parse_cpu, parse_duration
from toka.tools import ResourceLimits
from toka.types import NANOSECONDS, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.types import JsonObject

N = TypeVar("N", int, float)

DEFAULT_STEP_TIMEOUT: Final = 60 * NANOSECONDS


@attrs.frozen
class TaskLimits:
    """What a task may use. None sets no limit of its own."""

    max_memory: int | None = None
    """Bytes of each process that a command of the task runs in."""
    max_cpu: float | None = None
    """Processors, on average, of each such process."""
    timeout: int | None = None
    """Nanoseconds that one run of the task may take; time in which no process runs it is free."""
    step_timeout: int = DEFAULT_STEP_TIMEOUT
    """Nanoseconds of a tool call that names no timeout."""

    @classmethod
    def parse(cls, source: JsonObject) -> TaskLimits:
        """Read `max_memory`, `max_cpu` and `timeout` of a specification; other keys are others'.

        Raises:
            PlaybookInvalid: A value is not what `parse_bytes`, `parse_cpu` or `parse_duration`
                reads.

        """
        return cls(
            _read(source, "max_memory", parse_bytes),
            _read(source, "max_cpu", parse_cpu),
            _read(source, "timeout", parse_duration),
        )

    def for_tools(self) -> ResourceLimits:
        """Return the limits as tools take them."""
        limits = ResourceLimits()
        if self.max_memory is not None:
            limits = attrs.evolve(limits, max_memory_bytes=self.max_memory)
        if self.max_cpu is not None:
            limits = attrs.evolve(limits, max_cpu_percent=self.max_cpu * 100)
        return limits


NO_LIMITS: Final = TaskLimits()


def _read(source: JsonObject, key: str, parse: Callable[[str], N]) -> N | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise PlaybookInvalid(f"{key!r} is a text, as in 512MB, 75% or 5m.", path=(key,))
    try:
        return parse(str(value))
    except InvalidValueError as error:
        raise PlaybookInvalid(str(error), path=(key,)) from error
