"""Statuses by index, packed: 1, 2, 4 or 8 bits for each token (draft-ietf-oauth-status-list-12).

A status that says "invalid" stays: a list never revives a token.
"""

from __future__ import annotations

import zlib
from typing import Final

from toka.capability.core import decode_base64url, encode_base64url
from toka.revocation._errors import StatusListError

VALID: Final = 0
INVALID: Final = 1
SUSPENDED: Final = 2
MAX_STATUSES: Final = 2**24
MAX_LIST_BYTES: Final = 2**24
"""Of statuses, unpacked."""

_BYTE: Final = 8
_WIDTHS: Final = frozenset({1, 2, 4, 8})


class StatusList:
    """A status for each index."""

    __slots__ = ("_bits", "_data")

    def __init__(self, size: int, *, bits: int = 1) -> None:
        """Make a list in which everything is valid.

        Args:
            size: Statuses; rounded up to whole bytes.
            bits: Of each status: 1, 2, 4 or 8.

        Raises:
            StatusListError: The width is another, or the size out of range.
        """
        if bits not in _WIDTHS or not 1 <= size <= MAX_STATUSES:
            raise StatusListError(f"A list has 1 to {MAX_STATUSES} statuses of 1, 2, 4 or 8 bits.")
        self._bits = bits
        self._data = bytearray(-(-size * bits // _BYTE))

    @property
    def bits(self) -> int:
        """The width of a status."""
        return self._bits

    def __len__(self) -> int:
        """Return how many statuses there are."""
        return len(self._data) * _BYTE // self._bits

    def __getitem__(self, index: int) -> int:
        """Return a status.

        Raises:
            StatusListError: There is no such index.
        """
        place, shift = self._place(index)
        return self._data[place] >> shift & (1 << self._bits) - 1

    def set(self, index: int, status: int) -> None:
        """Set a status.

        Raises:
            StatusListError: There is no such index, the status does not fit, or it was invalid and
                would become something else.
        """
        place, shift = self._place(index)
        mask = (1 << self._bits) - 1
        if type(status) is not int or not 0 <= status <= mask:
            raise StatusListError(f"A status of {self._bits} bits is 0 to {mask}.")
        if self[index] == INVALID != status:
            raise StatusListError(f"Status {index} is invalid, and stays so.")
        self._data[place] = self._data[place] & ~(mask << shift) & 0xFF | status << shift

    def encode(self) -> str:
        """Return the statuses compressed, as text."""
        return encode_base64url(zlib.compress(self._data, 9))

    @classmethod
    def decode(cls, text: str, *, bits: int) -> StatusList:
        """Read what `encode` wrote.

        Raises:
            StatusListError: It is malformed, or unpacks to more than 16 MB.
        """
        if bits not in _WIDTHS or type(bits) is not int:
            raise StatusListError("A status has 1, 2, 4 or 8 bits.")
        data = _unpack(text)
        found = cls.__new__(cls)
        found._bits, found._data = bits, bytearray(data)  # noqa: SLF001 - our own
        return found

    def _place(self, index: int) -> tuple[int, int]:
        if type(index) is not int or not 0 <= index < len(self):
            raise StatusListError("There is no such index in the list.")
        bit = index * self._bits
        return bit // _BYTE, bit % _BYTE


def _unpack(text: str) -> bytes:
    try:
        packed = decode_base64url(text)
        reader = zlib.decompressobj()
        # A bomb is cut off here: one byte more than allowed is all that is ever unpacked.
        data = reader.decompress(packed, MAX_LIST_BYTES + 1)
    except (ValueError, zlib.error) as error:
        raise StatusListError("A status list is not zlib in base64url.") from error
    if len(data) > MAX_LIST_BYTES:
        raise StatusListError(f"A status list unpacks to more than {MAX_LIST_BYTES} bytes.")
    if not reader.eof or reader.unused_data or not data:
        raise StatusListError("A status list is cut off, empty, or has something behind it.")
    return data
