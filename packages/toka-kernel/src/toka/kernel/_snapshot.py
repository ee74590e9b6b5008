"""A state as bytes and back.

    magic line      names the format and its version
    32 bytes        BLAKE3 digest of the rest, which is also the digest of the state
    the rest        the state's canonical form: JSON, maps sorted by key

Data only: reading one can build the classes of `_state` and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar, cast

import attrs
import msgspec

from toka.kernel._errors import SnapshotError
from toka.kernel._state import KernelState
from toka.kernel._tables import HashTrieMap, canonical_bytes
from toka.types import DIGEST_SIZE, digest

if TYPE_CHECKING:
    from attrs import AttrsInstance

T = TypeVar("T")

_NAME: Final = b"toka.kernel.state "
_MAGIC: Final = _NAME + b"1\n"


def snapshot(state: KernelState) -> bytes:
    """Return the state as bytes that `restore` reads, the same for equal states."""
    data = canonical_bytes(state)
    return b"".join([_MAGIC, digest(data), data])


def restore(data: bytes) -> KernelState:
    """Return the state that `snapshot` was given.

    Raises:
        SnapshotError: The bytes are no snapshot, are damaged, or have another version.

    """
    if not data.startswith(_MAGIC):
        raise _unreadable(data)
    start = len(_MAGIC)
    expected, body = data[start : start + DIGEST_SIZE], data[start + DIGEST_SIZE :]
    if digest(body) != expected:
        raise SnapshotError(
            "The snapshot is damaged: its digest is not that of its content.",
            hint="Replay the log from an earlier snapshot, or from its beginning.",
        )
    try:
        state = _DECODER.decode(body)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"The snapshot does not hold a state: {error}.") from error
    return _thawed(state)


def _unreadable(data: bytes) -> SnapshotError:
    if data.startswith(_NAME):
        version = data[len(_NAME) : len(_NAME) + 10].partition(b"\n")[0].decode("ascii", "replace")
        return SnapshotError(
            f"The snapshot has version {version}; this version of the kernel reads version 1.",
            hint="Update Toka, or replay the log from its beginning.",
        )
    return SnapshotError("The bytes are not a snapshot of a kernel's state.")


def _thawed(value: T) -> T:
    """Return a decoded value with each mapping made persistent again."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return cast("T", HashTrieMap({key: _thawed(item) for key, item in items}))
    if isinstance(value, msgspec.Raw):
        # A decoded piece would keep the whole snapshot in memory.
        return cast("T", value.copy())
    kind = type(value)
    if not attrs.has(cast("type", kind)):
        return value
    fields = attrs.fields(cast("type[AttrsInstance]", kind))
    return kind(**{field.name: _thawed(getattr(value, field.name)) for field in fields})


_DECODER: Final = msgspec.json.Decoder(KernelState)
