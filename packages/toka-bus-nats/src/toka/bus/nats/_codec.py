"""What crosses the network: items as MessagePack, decoded into their type and nothing else."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Publishable(Protocol):
    """What the bus must know of an item."""

    @property
    def id(self) -> str:
        """Return what makes the item one of its own; publishing it again stores nothing."""
        ...

    @property
    def kind(self) -> str:
        """Return a dotted name that subscribers choose by, as in `task.started.v1`."""
        ...


class Codec(Generic[T]):
    """Turns items of one type (attrs, dataclass or msgspec) into bytes and back."""

    def __init__(self, item_type: type[T]) -> None:
        self._decoder = msgspec.msgpack.Decoder(item_type)
        self._encoder = msgspec.msgpack.Encoder()

    def encode(self, item: T) -> bytes:
        """Return the bytes of an item."""
        return self._encoder.encode(item)

    def decode(self, data: bytes) -> T:
        """Return the item of bytes.

        Raises:
            msgspec.DecodeError: They are no item of the type.
        """
        return self._decoder.decode(data)
