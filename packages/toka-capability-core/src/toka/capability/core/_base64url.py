"""Base64url without padding (RFC 7515, section 2), in the one canonical spelling.

Common decoders ignore unused bits at the end, padding, and characters outside the alphabet. Each of
these gives one token many texts, and whoever lists tokens by text misses all but one.
"""

from __future__ import annotations

import binascii
from typing import Final

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/", b"+/  ")
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST: Final = (_ALPHABET, "", _ALPHABET[::16], _ALPHABET[::4])
"""Characters that may end a text, by its length modulo 4: those whose unused bits are zero."""


def encode_base64url(data: bytes) -> str:
    """Return `data` as text."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Return the bytes that `text` spells canonically.

    Raises:
        ValueError: It is empty, or not the canonical spelling of anything.
    """
    if text[-1:] not in _LAST[len(text) % 4] or not text:
        raise ValueError("not canonical base64url")
    data = text.encode("ascii").translate(_FROM_URL)
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True)
