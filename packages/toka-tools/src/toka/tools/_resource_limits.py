"""What a command may use."""

from __future__ import annotations

import attrs


@attrs.frozen
class ResourceLimits:
    """What a command may use. None leaves the limit of this process as it is."""

    max_memory_bytes: int | None = 2 << 30
    """Address space of each process."""
    max_cpu_percent: float | None = None
    """Of one core on average over the timeout, for each process."""
    max_processes: int | None = 64
    """Processes of one call at once."""
    max_open_files: int | None = 256
    """Open files of each process."""
    max_file_bytes: int | None = 1 << 30
    """Size of any file that a process writes."""
