"""Messages as bytes: one version byte, eight bytes of cluster id, a MessagePack array.

Fields are only ever added at the end of the array, so that a reader skips what it does not know;
what would change a meaning gets a new version number. A message to or from a storage thread has no
bytes: it never leaves its node.
"""

from __future__ import annotations

from typing import Final

import msgspec

from raft_core._errors import (
    LocalMessageError,
    MalformedMessageError,
    UnsupportedVersionError,
    WrongClusterError,
)
from raft_core._messages import LOCAL_TYPES, Message

WIRE_VERSION: Final = 1
_HEADER_SIZE: Final = 9

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode_message(message: Message, *, cluster: int) -> bytes:
    """Return a message's bytes, marked with the cluster it belongs to.

    Raises:
        LocalMessageError: The message is for this node's own storage.

    """
    if message.type in LOCAL_TYPES:
        raise LocalMessageError(f"{message.type.name} is not for the network")
    header = WIRE_VERSION.to_bytes(1, "big") + cluster.to_bytes(8, "big")
    return header + _encoder.encode(message)


def decode_message(data: bytes, *, cluster: int) -> Message:
    """Return the message that bytes hold.

    Raises:
        MalformedMessageError: The bytes are no message.
        UnsupportedVersionError: They were written by a later version.
        WrongClusterError: They come from another cluster.
        LocalMessageError: They hold a message that never leaves its node.

    """
    if len(data) <= _HEADER_SIZE or data[0] == 0:
        raise MalformedMessageError("too few bytes for a message")
    if data[0] > WIRE_VERSION:
        raise UnsupportedVersionError(f"version {data[0]}; this is version {WIRE_VERSION}")
    sender_cluster = int.from_bytes(data[1:_HEADER_SIZE], "big")
    if sender_cluster != cluster:
        raise WrongClusterError(f"message of cluster {sender_cluster}; this is {cluster}")
    try:
        message = _decoder.decode(memoryview(data)[_HEADER_SIZE:])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedMessageError(f"no message: {error}") from error
    if message.type in LOCAL_TYPES:
        raise LocalMessageError(f"{message.type.name} is not for the network")
    return message
