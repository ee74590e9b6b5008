"""The words of a question that say what it is about."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"\w+")
_MAX: Final = 64
# Of English, as the stemmer of the full text is: they stand in every text and would decide alone.
_COMMON_TEXT: Final = """
    a about an and are as at be been but by can did do does for from had has have how i if in into
    is it its me my no not of on or so that the their them there these they this to was we were
    what when where which who why will with you your
"""
_COMMON: Final = frozenset(_COMMON_TEXT.split())


def question_words(text: str) -> list[str]:
    """Return the words of a question, each once, without common ones unless all are common."""
    words = list(dict.fromkeys(_WORD.findall(text)))
    return ([word for word in words if word.casefold() not in _COMMON] or words)[:_MAX]
