"""Where processor and waiting time goes, by sampling stacks; files that a person can open.

The sampling is pyinstrument's, of the extra `profile`. It follows a coroutine through its awaits,
and sees the thread that it was started in.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from toka.performance._errors import InvalidFigure, NotInstalled

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pyinstrument import Profiler


class CpuProfile:
    """Stacks that were sampled; complete when the block of `profile_cpu` has ended."""

    def __init__(self, profiler: Profiler) -> None:
        self._profiler = profiler

    @property
    def samples(self) -> int:
        """How many stacks were taken."""
        session = self._profiler.last_session
        return session.sample_count if session else 0

    def text(self) -> str:
        """Return a tree of calls with their times."""
        return self._profiler.output_text(unicode=True, color=False)

    def html(self) -> str:
        """Return a page that a browser shows, complete in itself."""
        return self._profiler.output_html()

    def speedscope(self) -> str:
        """Return a profile in the format of speedscope."""
        # Only who profiles has it.
        from pyinstrument.renderers import SpeedscopeRenderer  # noqa: PLC0415

        return self._profiler.output(SpeedscopeRenderer())

    def save(self, path: Path) -> None:
        """Write a file in the form that its name asks for: `.json`, `.html` or `.txt`.

        Raises:
            InvalidFigure: the name asks for no form that there is.
            OSError: the file cannot be written.
        """
        forms = {".json": self.speedscope, ".html": self.html, ".txt": self.text}
        if path.suffix not in forms:
            raise InvalidFigure(f"{path.name} names no form of a profile; take {', '.join(forms)}.")
        path.write_text(forms[path.suffix](), "utf-8")


@contextmanager
def profile_cpu(*, interval: float = 0.001) -> Generator[CpuProfile]:
    """Sample the stack of this thread every so many seconds, as long as the block runs.

    Raises:
        NotInstalled: the extra `profile` is missing.
    """
    try:
        from pyinstrument import Profiler  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NotInstalled(
            "Profiles of the processor need pyinstrument.",
            hint="Install toka-performance[profile].",
        ) from error
    profiler = Profiler(interval=interval)
    profiler.start()
    try:
        yield CpuProfile(profiler)
    finally:
        profiler.stop()
