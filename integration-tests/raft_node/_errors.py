"""Every error this package raises, beside those of raft_core and raft_storage.

NodeError
├── NotFounderError      the disk of this node is none of those that the group is founded on
├── FrameError           what came on a connection is no frame
├── HelloError           a node does not talk to one that dials it
│   ├── WrongDiskError       another number, or the number on another disk, was meant
│   ├── WrongGroupError      the dialler belongs to another group
│   └── WrongVersionError    the dialler is of a version this one does not know
├── GaveUpError          a client heard no answer in time
└── WriteError           the group answers that what a client wants cannot be done
"""

from __future__ import annotations

from typing import ClassVar


class NodeError(Exception):
    """Say what went wrong."""

    code: ClassVar[str] = "raft_node.error"


class NotFounderError(NodeError):
    """A node was told to found a group whose founders do not include its disk.

    As a rule the disk is new and the command is that of the old one. Start the node without
    founding, and let the group replace the old disk by the new one.
    """

    code = "raft_node.not_founder"


class FrameError(NodeError):
    """What came is no frame, so nothing after it can be read either: hang up."""

    code = "raft_node.frame"


class HelloError(NodeError):
    """A node does not talk to one that dials it."""

    code = "raft_node.hello"


class WrongDiskError(HelloError):
    """Somebody else was meant: another number, or this number on another disk."""

    code = "raft_node.wrong_disk"


class WrongGroupError(HelloError):
    """The dialler belongs to another group."""

    code = "raft_node.wrong_group"


class WrongVersionError(HelloError):
    """The dialler speaks a version that this node does not know."""

    code = "raft_node.wrong_version"


class GaveUpError(NodeError):
    """Time ran out. What was asked may have been done, or may be done yet."""

    code = "raft_node.gave_up"


class WriteError(NodeError):
    """The group answered that what was asked cannot be done."""

    code = "raft_node.refused"
