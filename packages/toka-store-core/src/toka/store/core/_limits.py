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

Below, it costs more than it saves. In SQLite an append whose payload is like no other takes 1.3 to
1.4 times as long with a table of payloads at 256 to 1,024 bytes, and 1.1 to 1.2 times from 2 KiB
on; where all are equal it takes two thirds at 4 KiB. (Measured with the table in memory; on a large
one each digest is a page of its own to read.)
"""
