"""What is asked of `Leases`, as it stands in the log, and what it answers."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from raft_core._errors import MalformedCommandError
from raft_core._layers._numbers import Count, Number  # noqa: TC001 - msgspec needs them

if TYPE_CHECKING:
    from collections.abc import Callable


class LeaseStatus(IntEnum):
    """What became of a request."""

    OK = 0
    HELD = 1
    """Somebody has the lease; the reply says who, and until when."""
    LOST = 2
    """The token is not, or not any more, that of the lease. Nothing was done in its name."""
    DEPOSED = 3
    """Whoever wanted to revoke led in another term than the one this came to stand in."""
    FULL = 4
    """There are as many leases as there may be."""
    MALFORMED = 5
    """The bytes are no request. They took no effect."""


class LeaseReply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to one request."""

    status: LeaseStatus
    token: int = 0
    """The fencing token: greater than that of every lease granted before, whatever its name."""
    holder: bytes = b""
    deadline: int = 0
    """The lease ends when the log's time reaches this."""
    result: bytes = b""
    """What the application's state machine answered to a command."""

    def encode(self) -> bytes:
        """Return the reply as bytes, as `Leases.apply` does."""
        return encode(self)

    @classmethod
    def decode(cls, data: bytes) -> LeaseReply:
        """Return the reply that `Leases.apply` gave as bytes.

        Raises:
            MalformedCommandError: They are none.

        """
        try:
            return _decode_reply(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise MalformedCommandError(f"no answer of leases: {error}") from error


class AcquireRequest(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Take a lease that nobody has."""

    name: bytes
    holder: bytes
    ttl: Number


class RenewRequest(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Have a lease for its time again, counted from now."""

    name: bytes
    token: Number


class ReleaseRequest(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Give a lease back."""

    name: bytes
    token: Number


class RevokeRequest(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Take a lease from its holder, if the one who decided so still led when it was appended."""

    name: bytes
    token: Number
    term: Count


class FencedRequest(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Apply a command in the name of a lease."""

    name: bytes
    token: Number
    command: bytes


class PlainRequest(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Apply a command that needs no lease."""

    command: bytes


LeaseRequest: TypeAlias = (
    AcquireRequest | RenewRequest | ReleaseRequest | RevokeRequest | FencedRequest | PlainRequest
)

encode: Final = msgspec.msgpack.Encoder().encode
decode: Final[Callable[[bytes], LeaseRequest]] = msgspec.msgpack.Decoder(LeaseRequest).decode
_decode_reply: Final = msgspec.msgpack.Decoder(LeaseReply).decode


def acquire_lease(name: bytes, holder: bytes, ttl: int) -> bytes:
    """Return what to propose to get a lease for `ttl` of the log's time.

    Whoever gets it must not trust it for longer than `ttl` after this was *sent*, by a clock of its
    own; the log's time runs no faster than that of a leader.
    """
    return encode(AcquireRequest(name, holder, ttl))


def renew_lease(name: bytes, token: int) -> bytes:
    """Return what to propose to keep a lease for its whole time again."""
    return encode(RenewRequest(name, token))


def release_lease(name: bytes, token: int) -> bytes:
    """Return what to propose to give a lease back."""
    return encode(ReleaseRequest(name, token))


def revoke_lease(name: bytes, token: int, term: int) -> bytes:
    """Return what a leader of `term` proposes to take a lease away before its time.

    It is refused if it comes to stand in another term: a leader that was stuck while others led
    decides by what is long past.
    """
    return encode(RevokeRequest(name, token, term))


def fenced(name: bytes, token: int, command: bytes) -> bytes:
    """Return what to propose for a command that shall count only while a lease is held."""
    return encode(FencedRequest(name, token, command))


def unfenced(command: bytes) -> bytes:
    """Return what to propose for a command that needs no lease."""
    return encode(PlainRequest(command))
