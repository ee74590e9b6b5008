"""Persistent maps: every change gives a new map that shares almost everything with the old one.

The maps are `rpds.HashTrieMap`. Its class takes no type arguments at run time, so the annotations
that msgspec reads when it restores a snapshot see an ordinary mapping instead.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Never, cast

import msgspec
from rpds import HashTrieMap

if TYPE_CHECKING:
    from rpds import HashTrieMap as Table
else:
    Table = Mapping

__all__ = ["EMPTY_TABLE", "HashTrieMap", "Table", "canonical_bytes"]

EMPTY_TABLE: Final["Table[Never, Never]"] = HashTrieMap()
"""Holds nothing, whatever it is a table of."""


def canonical_bytes(value: object) -> bytes:
    """Encode a value made of attrs classes and persistent maps; map order does not show."""
    return _ENCODER.encode(value)


def _as_dict(value: object) -> object:
    if isinstance(value, HashTrieMap):
        return dict(cast("Mapping[object, object]", value))
    raise NotImplementedError(f"A state holds no {type(value).__name__}.")


_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=_as_dict)
