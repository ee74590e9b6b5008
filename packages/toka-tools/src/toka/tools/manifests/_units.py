"""Sizes, shares and durations as manifests write them."""

from __future__ import annotations

import re
from typing import Final

from toka.tools._errors import InvalidManifestError
from toka.types import NANOSECONDS

_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*)\s*")

# As the original reads them: powers of 1,024 whether written KB or KiB, a bare number as KB.
_BYTES: Final = {"b": 1, "": 1 << 10, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def parse_bytes(text: str) -> int:
    """Read `512MB`.

    Raises:
        InvalidManifestError: It is no size.
    """
    number, unit = _split(text, "size", "512MB")
    prefix = unit.lower().removesuffix("b").removesuffix("i") or unit.lower()
    if prefix not in _BYTES:
        raise _unknown(text, "size", "512MB")
    return int(number * _BYTES[prefix])


def parse_percent(text: str) -> float:
    """Read `50%`, or `0.5` for the same.

    Raises:
        InvalidManifestError: It is no share.
    """
    number, unit = _split(text, "share", "50%")
    if unit not in ("", "%"):
        raise _unknown(text, "share", "50%")
    return number if unit or number > 1 else number * 100


def parse_duration(text: str) -> int:
    """Read `10m` as nanoseconds.

    Raises:
        InvalidManifestError: It is no duration.
    """
    number, unit = _split(text, "duration", "10m")
    if unit not in _SECONDS:
        raise _unknown(text, "duration", "10m")
    return int(number * _SECONDS[unit] * NANOSECONDS)


def _split(text: str, what: str, example: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise _unknown(text, what, example)
    return float(match[1]), match[2]


def _unknown(text: str, what: str, example: str) -> InvalidManifestError:
    return InvalidManifestError(f"{text[:40]!r} is not a {what}.", hint=f"Write {example}.")
