"""What the system counts for a process and all that it starts."""

from __future__ import annotations

import resource

from ._tree import LINUX

Limits = dict[int, tuple[int, int]]


def limits_of(wanted: dict[str, int], others: int, room: int = 0) -> Limits:
    """Return the limits to set, soft and hard, of which none is higher than this process's own.

    Args:
        wanted: By their names in a request.
        others: The tasks on the machine. The system counts all processes of a user, of which there
            may be many; it must leave room for these. Counting a tree exactly is the guard's part.
        room: By how much the hard limit on processes is higher.
    """
    values = {resource.RLIMIT_CORE: 0}
    if LINUX and "memory" in wanted:
        values[resource.RLIMIT_AS] = wanted["memory"]
    if "cpu" in wanted:
        values[resource.RLIMIT_CPU] = wanted["cpu"]
    if "file" in wanted:
        values[resource.RLIMIT_FSIZE] = wanted["file"]
    if "files" in wanted:
        values[resource.RLIMIT_NOFILE] = wanted["files"]
    limits = {number: (_lower(number, one), _lower(number, one)) for number, one in values.items()}
    if LINUX and "processes" in wanted:
        most = others + wanted["processes"]
        number = resource.RLIMIT_NPROC
        limits[number] = _lower(number, most), _lower(number, most + room)
    return limits


def set_limits(limits: Limits) -> None:
    """Set limits of this process, for ever.

    Raises:
        OSError: The system refuses.
    """
    for number, both in limits.items():
        resource.setrlimit(number, both)


def _lower(number: int, value: int) -> int:
    _, hard = resource.getrlimit(number)
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
