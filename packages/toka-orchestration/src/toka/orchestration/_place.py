"""Where in a document something stands."""

from __future__ import annotations

import attrs


@attrs.frozen
class Place:
    """A file, a position in it, and the path of keys that leads there."""

    file: str = ""
    line: int = 0
    """From 1; 0 where the format or the fault has none."""
    column: int = 0
    path: str = ""
    """As in `tasks.default[2].steps[0].with`; empty for the document as a whole."""

    def __str__(self) -> str:
        position = f":{self.line}:{self.column}" if self.line else ""
        where = f"{self.file}{position}"
        return ": ".join([part for part in (where, self.path) if part]) or "specification"


@attrs.frozen
class SpecWarning:
    """Something that loads but probably does not mean what its author hopes."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"
