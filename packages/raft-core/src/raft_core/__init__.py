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
from raft_core._config import Config, RemovedLeader
from raft_core._entries import (
    ENTRY_OVERHEAD,
    NO_LIMIT,
    NO_NODE,
    Entry,
    EntryType,
    entries_size,
    limit_size,
)
from raft_core._errors import (
    CompactedError,
    ConfChangeError,
    ConfigError,
    EntryTooLargeError,
    LocalMessageError,
    MalformedCommandError,
    MalformedMessageError,
    MalformedSnapshotError,
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
from raft_core._layers._client_session import ClientSession
from raft_core._layers._log_clock import LeaderClock, LogClock
from raft_core._layers._machine import Command, StateMachine
from raft_core._layers._session_requests import OPEN_SESSION, SessionLimits, limit_sessions
from raft_core._layers._sessions import SessionReply, Sessions, SessionStatus
from raft_core._messages import APPEND_THREAD, APPLY_THREAD, Message, MessageType
from raft_core._node import Node
from raft_core._progress import Progress, ProgressState
from raft_core._quorum import JointConfig, MajorityConfig, VoteResult
from raft_core._reads import ReadOnlyOption
from raft_core._ready import Ready
from raft_core._states import ConfState, HardState, ReadState, Role, Snapshot, SoftState
from raft_core._status import Status
from raft_core._storage import MemoryStorage, Storage
from raft_core._trace import (
    TraceChange,
    TraceEvent,
    TraceMessage,
    TraceProperties,
    TraceState,
)
from raft_core._wire import WIRE_VERSION, decode_message, encode_message

__all__ = [
    "APPEND_THREAD",
    "APPLY_THREAD",
    "ENTRY_OVERHEAD",
    "NO_LIMIT",
    "NO_NODE",
    "OPEN_SESSION",
    "WIRE_VERSION",
    "AnyConfChange",
    "ClientSession",
    "Command",
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
    "LeaderClock",
    "LocalMessageError",
    "LogClock",
    "MajorityConfig",
    "MalformedCommandError",
    "MalformedMessageError",
    "MalformedSnapshotError",
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
    "RemovedLeader",
    "Role",
    "SafetyViolationError",
    "SessionLimits",
    "SessionReply",
    "SessionStatus",
    "Sessions",
    "Snapshot",
    "SnapshotUnavailableError",
    "SoftState",
    "StateMachine",
    "Status",
    "Storage",
    "StorageError",
    "TraceChange",
    "TraceEvent",
    "TraceMessage",
    "TraceProperties",
    "TraceState",
    "UnavailableError",
    "UnknownPeerError",
    "UnsupportedVersionError",
    "UsageError",
    "VoteResult",
    "WrongClusterError",
    "decode_conf_change",
    "decode_message",
    "encode_message",
    "entries_size",
    "limit_sessions",
    "limit_size",
]
