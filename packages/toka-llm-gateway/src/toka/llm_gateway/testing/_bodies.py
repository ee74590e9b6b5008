"""The pieces that the formats share."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(r"\S+\s*|\s+")


def words(text: str) -> list[str]:
    """Return the pieces in which a text is streamed."""
    return _WORDS.findall(text)
