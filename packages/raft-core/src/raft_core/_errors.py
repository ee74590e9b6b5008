"""Every error this package raises.

RaftError
├── ConfigError              a setting that cannot work
├── UsageError               a method called in an order that the contract forbids
├── MessageError             a message refused; the state is as it was
│   ├── MalformedMessageError     its fields contradict each other, or the bytes are no message
│   ├── UnsupportedVersionError   written by a later version of this package
│   ├── WrongClusterError         from another cluster
│   ├── MisaddressedError         to another node
│   ├── UnknownPeerError          a response from a node that is no member
│   ├── LocalMessageError         a local message that came over the network
│   ├── OutOfRangeError           a term or index too far off to be true
│   └── SafetyViolationError      what it says cannot be if Raft's promises hold: stop and look
├── ProposalDroppedError     nothing was appended; try again, here or at the leader
│   └── EntryTooLargeError   ... but not with this entry
├── ReadDroppedError         no read index will be given; try again
├── ConfChangeError          a change of members that leads to no valid configuration
├── MalformedCommandError    an entry that a layer above Raft cannot read; it is skipped
├── MalformedSnapshotError   bytes that hold no state of such a layer
└── StorageError             what a Storage answers instead of entries
    ├── CompactedError            below the first index: a snapshot holds it
    ├── UnavailableError          above the last index
    └── SnapshotUnavailableError  no snapshot right now; Raft asks again later
"""

from __future__ import annotations

from typing import ClassVar


class RaftError(Exception):
    """Say what was refused and why.

    Attributes:
        code: Stable dotted name, which programs compare.
        reason: One sentence for people; it may be reworded at any time.

    """

    code: ClassVar[str] = "raft.error"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason: str = reason


class ConfigError(RaftError, ValueError):
    """A setting cannot work, alone or together with another."""

    code = "raft.bad_config"


class UsageError(RaftError, RuntimeError):
    """A method was called in an order that its contract forbids."""

    code = "raft.usage"


class MessageError(RaftError):
    """A message was refused. Nothing has changed."""

    code = "raft.message"


class MalformedMessageError(MessageError, ValueError):
    """The fields of a message contradict each other, or the bytes are no message."""

    code = "raft.message_malformed"


class UnsupportedVersionError(MessageError):
    """The message was written by a later version of this package."""

    code = "raft.message_version"


class WrongClusterError(MessageError):
    """The message belongs to another cluster."""

    code = "raft.message_cluster"


class MisaddressedError(MessageError):
    """The message is for another node."""

    code = "raft.message_misaddressed"


class UnknownPeerError(MessageError):
    """A response came from a node that is no member of the configuration."""

    code = "raft.message_unknown_peer"


class LocalMessageError(MessageError):
    """A message that only a node's own storage sends came from elsewhere."""

    code = "raft.message_local"


class OutOfRangeError(MessageError, ValueError):
    """A term or an index is too far off to be true."""

    code = "raft.message_out_of_range"


class SafetyViolationError(MessageError):
    """A message states what cannot be while Raft's promises hold.

    Two leaders in one term, or a leader that counts on entries this node does not have: a member
    lost its disk and came back under its old name, or there is a bug. Stop this node and look.
    """

    code = "raft.safety_violation"


class ProposalDroppedError(RaftError):
    """A proposal was not appended. It may be proposed again."""

    code = "raft.proposal_dropped"


class EntryTooLargeError(ProposalDroppedError, ValueError):
    """A proposal holds an entry above the limit."""

    code = "raft.entry_too_large"


class ReadDroppedError(RaftError):
    """No read index will be given for this request. It may be asked again."""

    code = "raft.read_dropped"


class ConfChangeError(RaftError, ValueError):
    """A change of members that leads to no valid configuration. Nothing has changed."""

    code = "raft.conf_change"


class MalformedCommandError(RaftError, ValueError):
    """A committed entry holds no command. It changed nothing, on any replica."""

    code = "raft.command_malformed"


class MalformedSnapshotError(RaftError, ValueError):
    """Bytes hold no state of the layer that was to take it over. The state is as it was."""

    code = "raft.snapshot_malformed"


class StorageError(RaftError):
    """What a `Storage` answers when it cannot answer with entries."""

    code = "raft.storage"


class CompactedError(StorageError, LookupError):
    """The index lies below the first one; a snapshot holds what was there."""

    code = "raft.compacted"


class UnavailableError(StorageError, LookupError):
    """The index lies above the last one."""

    code = "raft.unavailable"


class SnapshotUnavailableError(StorageError):
    """There is no snapshot right now. Raft asks again at a later occasion."""

    code = "raft.snapshot_unavailable"
