"""Who a node is: a number, an address, and the disk that keeps its promises.

As text, on command lines: `NUMBER@HOST:PORT:DIRECTORY`, the form that Kafka has for its voters
(KIP-853). A node that dials another says who it is and whom it means before anything else. So a
disk that was wiped is found out at the door: it is not the one that the others have on their list.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from raft_core import Member

from ._errors import HelloError, WrongDiskError, WrongGroupError, WrongVersionError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A host and a port.
Address = tuple[str, int]

_VERSION: Final = 1


class Purpose(IntEnum):
    """What a connection between nodes is for. The numbers are the wire format."""

    MESSAGES = 1
    SNAPSHOT = 2


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """What whoever dials says first."""

    cluster: int
    sender: Member
    to: Member
    purpose: Purpose = Purpose.MESSAGES
    version: int = _VERSION


class Welcome(msgspec.Struct, frozen=True, array_like=True):
    """The answer: nothing, or why not."""

    code: str = ""
    reason: str = ""

    def check(self) -> None:
        """Raise what the other node has found wrong.

        Raises:
            HelloError: Why it does not talk to this node.

        """
        if self.code:
            raise _REFUSALS.get(self.code, HelloError)(self.reason)


_REFUSALS: Final[Mapping[str, type[HelloError]]] = {
    kind.code: kind for kind in (WrongDiskError, WrongGroupError, WrongVersionError)
}


def check(hello: Hello, cluster: int, own: Member) -> None:
    """Refuse whoever means somebody else.

    Raises:
        WrongVersionError: It is of a later version.
        WrongGroupError: It belongs to another group.
        WrongDiskError: It means another node, or this one on another disk.

    """
    if hello.version != _VERSION:
        raise WrongVersionError(f"version {hello.version}; this is version {_VERSION}")
    if hello.cluster != cluster:
        raise WrongGroupError(f"{hello.cluster} is another group; this is {cluster}")
    if hello.to.node_id != own.node_id:
        raise WrongDiskError(
            f"this is node {own.number} on the disk {own.directory}, not node {hello.to.number} "
            f"on {hello.to.directory}: replace the one by the other if its disk is lost"
        )


def parse_address(text: str) -> Address:
    """Return the address that a text means."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def parse_member(text: str) -> Member:
    """Return the member that a text means: `NUMBER@HOST:PORT:DIRECTORY`."""
    number, _, rest = text.partition("@")
    place, _, directory = rest.rpartition(":")
    parse_address(place)
    return Member(int(number), UUID(directory), place)


def format_member(member: Member) -> str:
    """Return a member as text."""
    return f"{member.number}@{member.address}:{member.directory}"
