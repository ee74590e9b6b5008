"""Checksums: CRC32C where google-crc32c is installed, else CRC32 from zlib.

Both find every single flipped bit, and every burst of up to 32, in input of any length. A segment
says which one it uses; everything else uses zlib's, which is always there.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from raft_storage._errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    #: From bytes, and the checksum of what came before them, to the checksum of both.
    Checksum: TypeAlias = Callable[[bytes | memoryview, int], int]


class ChecksumKind(IntEnum):
    """Which checksum a segment uses. The numbers are part of the format."""

    CRC32 = 1
    CRC32C = 2


@cache
def checksum_of(kind: ChecksumKind) -> Checksum:
    """Return the function of a kind.

    Raises:
        FormatError: It needs a package that is not installed.

    """
    if kind is ChecksumKind.CRC32:
        return zlib.crc32
    try:
        extend: Callable[[int, bytes], int] = import_module("google_crc32c").extend
    except ImportError as error:
        raise FormatError("the log uses CRC32C: install raft-storage[crc32c]") from error

    def crc32c(data: bytes | memoryview, value: int) -> int:
        # It takes nothing but bytes; what is hot has them already.
        return extend(value, data if type(data) is bytes else bytes(data))

    return crc32c


def best_kind() -> ChecksumKind:
    """Return the better kind of those that this installation can compute fast."""
    try:
        compiled = import_module("google_crc32c").implementation == "c"
    except ImportError:
        return ChecksumKind.CRC32
    # Its form in Python is a thousand times slower than zlib.
    return ChecksumKind.CRC32C if compiled else ChecksumKind.CRC32
