"""Scalars of YAML, read the same way by everybody, or marked as vague.

YAML 1.1 (what PyYAML and many tools read) and YAML 1.2 differ on plain words such as `on`, `no`,
`012` and `1:30`. What both read alike is read; what they do not is kept as text and marked, and
whoever needs a value there asks for quotes.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from toka.orchestration._spec_node import Scalar

_MAX_DIGITS: Final = 64
"""Characters of the longest text that is looked at as a number; what is longer is none."""
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH: Final = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_OLD_TRUTH = re.compile(r"y|Y|n|N|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")
_OLD_NUMBER = re.compile(
    r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])*)"
    r"|[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


def resolve(text: str) -> tuple[Scalar, str]:
    """Return the value of a plain scalar and, where readers differ, why it is vague."""
    if text in _NULL:
        return None, ""
    if text in _TRUTH:
        return _TRUTH[text], ""
    if _OLD_TRUTH.fullmatch(text):
        return text, "a truth value in YAML 1.1 and text in YAML 1.2"
    if text[0] in "0123456789+-." and len(text) <= _MAX_DIGITS:
        return _number(text)
    return text, ""


def _number(text: str) -> tuple[Scalar, str]:
    if _INTEGER.fullmatch(text):
        return int(text), ""
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text), ""
    if _DATE.fullmatch(text):
        return text, "a date in YAML 1.1 and text in YAML 1.2"
    if _OLD_NUMBER.fullmatch(text):
        return text, "a number that not every reader takes for the same one"
    return text, ""


def unfit(value: Scalar) -> str:
    """Say why no document may hold `value`, or return an empty text."""
    if isinstance(value, str):
        if "\0" in value:
            return "holds a NUL character"
        return "" if _encodable(value) else "holds half of a surrogate pair"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "is an integer of more than 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    return ""


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
