"""Raft as a state machine without I/O: messages in, messages and writes out."""

from raft_core._conf_changes import (
    AnyConfChange,
    ConfChange,
    ConfChangeSingle,
    ConfChangeTransition,
    ConfChangeType,
    ConfChangeV2,
    decode_conf_change,
)
from raft_core._config import Config
from raft_core._entries import NO_LIMIT, NO_NODE, Entry, EntryType
from raft_core._errors import (
    CompactedError,
    ConfChangeError,
    ConfigError,
    EntryTooLargeError,
    LocalMessageError,
    MalformedMessageError,
    MessageError,
    MisaddressedError,
    OutOfRangeError,
    ProposalDroppedError,
    RaftError,
    ReadDroppedError,
    SafetyViolationError,
    SnapshotUnavailableError,
    StorageError,
    UnavailableError,
    UnknownPeerError,
    UnsupportedVersionError,
    UsageError,
    WrongClusterError,
)
from raft_core._messages import APPEND_THREAD, APPLY_THREAD, Message, MessageType
from raft_core._node import Node
from raft_core._progress import Progress, ProgressState
from raft_core._quorum import JointConfig, MajorityConfig, VoteResult
from raft_core._reads import ReadOnlyOption
from raft_core._ready import Ready
from raft_core._states import ConfState, HardState, ReadState, Role, Snapshot, SoftState
from raft_core._status import Status
from raft_core._storage import MemoryStorage, Storage
from raft_core._wire import WIRE_VERSION, decode_message, encode_message

__all__ = [
    "APPEND_THREAD",
    "APPLY_THREAD",
    "NO_LIMIT",
    "NO_NODE",
    "WIRE_VERSION",
    "AnyConfChange",
    "CompactedError",
    "ConfChange",
    "ConfChangeError",
    "ConfChangeSingle",
    "ConfChangeTransition",
    "ConfChangeType",
    "ConfChangeV2",
    "ConfState",
    "Config",
    "ConfigError",
    "Entry",
    "EntryTooLargeError",
    "EntryType",
    "HardState",
    "JointConfig",
    "LocalMessageError",
    "MajorityConfig",
    "MalformedMessageError",
    "MemoryStorage",
    "Message",
    "MessageError",
    "MessageType",
    "MisaddressedError",
    "Node",
    "OutOfRangeError",
    "Progress",
    "ProgressState",
    "ProposalDroppedError",
    "RaftError",
    "ReadDroppedError",
    "ReadOnlyOption",
    "ReadState",
    "Ready",
    "Role",
    "SafetyViolationError",
    "Snapshot",
    "SnapshotUnavailableError",
    "SoftState",
    "Status",
    "Storage",
    "StorageError",
    "UnavailableError",
    "UnknownPeerError",
    "UnsupportedVersionError",
    "UsageError",
    "VoteResult",
    "WrongClusterError",
    "decode_conf_change",
    "decode_message",
    "encode_message",
]
