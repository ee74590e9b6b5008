"""Sizes that every store holds to, so that a log can be copied between any two."""

from __future__ import annotations

from typing import Final

MAX_PAYLOAD_BYTES: Final = 64 * 1024 * 1024
MAX_TEXT_CHARACTERS: Final = 1_024
"""Of a stream, kind, intent, actor, token or tag."""
MAX_PARENTS: Final = 256
MAX_TAGS: Final = 64
MAX_TIME: Final = 2**63 - 1
"""The largest time in nanoseconds, in the year 2262."""
SHARED_FROM_BYTES: Final = 4_096
"""Payloads of this size and above are stored once by their digest, where a store shares payloads.

Below, the look-up by digest costs more than the copy: an event of a random 256-byte payload takes
three to four times as long to store when its payload has a table of its own.
"""
