"""What memory was taken and not given back, by the lines that took it.

Python's own tracemalloc keeps the stack of every allocation; here two moments are compared. Keeping
stacks slows the program down, so this is not for measuring time.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.performance._errors import InvalidFigure

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from toka.types import Json

_SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
_LINES: Final = 30
_KIB: Final = 1024

_Frame = tuple[str, int]


@attrs.frozen
class Growth:
    """What one stack took between two moments; negative if it gave back.

    Attributes:
        stack: File and line of each call, the outermost first.
        size: Bytes.
        count: Blocks.

    """

    stack: tuple[_Frame, ...]
    size: int
    count: int


@attrs.define
class MemoryProfile:
    """What grew since the block of `profile_memory` began; complete when it has ended.

    Attributes:
        growth: By stack, the greatest first.
        peak: The most bytes at one moment.

    """

    growth: Sequence[Growth] = ()
    peak: int = 0

    @property
    def size(self) -> int:
        """Bytes that are held now and were not at the beginning."""
        return sum(each.size for each in self.growth)

    def text(self) -> str:
        """Return the lines that grew most, as a table."""
        by_line: dict[_Frame, tuple[int, int]] = {}
        for each in self.growth:
            size, count = by_line.get(each.stack[-1], (0, 0))
            by_line[each.stack[-1]] = (size + each.size, count + each.count)
        greatest = sorted(by_line.items(), key=lambda item: -abs(item[1][0]))[:_LINES]
        lines = [
            f"{size / _KIB:+12.1f} KiB {count:+8} blocks  {file}:{line}"
            for (file, line), (size, count) in greatest
        ]
        head = f"grew by {self.size / _KIB:.1f} KiB, peak {self.peak / _KIB:.1f} KiB"
        return "\n".join([head, *lines, ""])

    def speedscope(self) -> str:
        """Return what grew in the format of speedscope, weighed by bytes."""
        numbers: dict[_Frame, int] = {}
        taken = [each for each in self.growth if each.size > 0]
        samples: list[Json] = [
            [numbers.setdefault(frame, len(numbers)) for frame in each.stack] for each in taken
        ]
        weights: list[Json] = [each.size for each in taken]
        frames: list[Json] = [
            {"name": f"{file.rpartition('/')[2]}:{line}", "file": file, "line": line}
            for file, line in numbers
        ]
        profile: Json = {
            "type": "sampled",
            "name": "memory taken",
            "unit": "bytes",
            "startValue": 0,
            "endValue": sum(each.size for each in taken),
            "samples": samples,
            "weights": weights,
        }
        document: Json = {
            "$schema": _SCHEMA,
            "shared": {"frames": frames},
            "profiles": [profile],
        }
        return msgspec.json.encode(document).decode()

    def save(self, path: Path) -> None:
        """Write a file in the form that its name asks for: `.json` or `.txt`.

        Raises:
            InvalidFigure: the name asks for no form that there is.
            OSError: the file cannot be written.
        """
        forms = {".json": self.speedscope, ".txt": self.text}
        if path.suffix not in forms:
            raise InvalidFigure(f"{path.name} names no form of a profile; take {', '.join(forms)}.")
        path.write_text(forms[path.suffix](), "utf-8")


@contextmanager
def profile_memory(*, frames: int = 16) -> Generator[MemoryProfile]:
    """Compare the memory that is held before and after a block.

    Args:
        frames: How many calls of each stack to keep.

    Raises:
        InvalidFigure: somebody traces memory in this process already.
    """
    import tracemalloc  # noqa: PLC0415 - it brings pickle, for files that nobody writes here

    if tracemalloc.is_tracing():
        raise InvalidFigure("Memory is traced in this process already.")
    tracemalloc.start(frames)
    try:
        before = tracemalloc.take_snapshot()
        tracemalloc.reset_peak()
        profile = MemoryProfile()
        yield profile
        profile.peak = tracemalloc.get_traced_memory()[1]
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    ours = [tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__)]
    differences = after.filter_traces(ours).compare_to(before.filter_traces(ours), "traceback")
    found = [
        Growth(
            tuple((frame.filename, frame.lineno) for frame in each.traceback),
            each.size_diff,
            each.count_diff,
        )
        for each in differences
        if each.size_diff or each.count_diff
    ]
    profile.growth = sorted(found, key=lambda each: -each.size)
