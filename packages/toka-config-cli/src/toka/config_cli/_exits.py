"""Exit statuses, which scripts may rely on. `toka-config --help` prints this table."""

from __future__ import annotations

DONE, NOT_SO, USAGE, FILE, REFUSED, FAILED, INTERRUPTED = 0, 1, 2, 3, 5, 70, 130

# The first that fits decides, so a code stands before its family.
_BY_CODE = (
    ("config.usage", USAGE),
    ("config.key_path", USAGE),
    ("config.file", FILE),
    ("config.locked", FILE),
    ("config.syntax", FILE),
    ("config.not_there", NOT_SO),
    ("config.invalid", NOT_SO),
    ("config.edit_refused", REFUSED),
    ("config.cannot_carry", REFUSED),
)

TABLE = """\
0 done, valid, alike     1 no such key, not valid, or different     2 wrong usage or key path
3 file missing, locked, unreadable or not of its format              5 refused: would do harm
70 other failure         130 interrupted; nothing was written"""


def exit_for(code: str) -> int:
    """Return the exit status for an error with that code."""
    return next((status for prefix, status in _BY_CODE if code.startswith(prefix)), FAILED)
