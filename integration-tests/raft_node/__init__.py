"""A replicated key-value table over TCP: raft-core, raft-storage and asyncio, one process a node.

`python -m raft_node` runs a node, `Client` talks to a group of them, `Group` runs one for tests.
"""

from ._client import Channel, Client, GaveUpError, WriteError
from ._frames import Kind, Reply, Request, Status
from ._group import Gate, Group, Member
from ._machine import Machine, Operation, Result, Table, Write

__all__ = [
    "Channel",
    "Client",
    "Gate",
    "GaveUpError",
    "Group",
    "Kind",
    "Machine",
    "Member",
    "Operation",
    "Reply",
    "Request",
    "Result",
    "Status",
    "Table",
    "Write",
    "WriteError",
]
