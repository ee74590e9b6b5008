"""The difference of two texts in the unified form, for files of any size that differ little."""

from __future__ import annotations

import difflib

from toka.config_cli._mask import mask_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTEXT = 3


def text_diff(old: str, new: str, name: str, *, reveal: bool) -> str:
    """Return what changes, with secrets as stars unless they may be seen."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    start, end = max(start - _CONTEXT, 0), max(end - _CONTEXT, 0)
    lines = difflib.unified_diff(
        [_shown(line, reveal=reveal) for line in before[start : len(before) - end]],
        [_shown(line, reveal=reveal) for line in after[start : len(after) - end]],
        f"a/{name}",
        f"b/{name}",
        n=_CONTEXT,
    )
    return "".join(_numbered(lines, start))


def _alike(one: list[str], other: list[str]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _shown(line: str, *, reveal: bool) -> str:
    text = line.rstrip("\r\n")
    missing = "" if line.endswith("\n") else "\n\\ No newline at end of file"
    return f"{text if reveal else mask_line(text)}{missing}\n"


def _numbered(lines: Iterator[str], skipped: int) -> Iterator[str]:
    """Yield the lines with the numbers of what was left out in front put back."""
    for line in lines:
        if line.startswith("@@"):
            _, old, new, _ = line.split(" ", 3)
            yield f"@@ {_moved(old, skipped)} {_moved(new, skipped)} @@\n"
        else:
            yield line


def _moved(span: str, skipped: int) -> str:
    first, comma, count = span[1:].partition(",")
    return f"{span[0]}{int(first) + skipped}{comma}{count}"
