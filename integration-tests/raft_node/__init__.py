"""A replicated key-value table over TCP: raft-core, raft-storage and asyncio, one process a node.

`python -m raft_node` runs a node, `Client` talks to a group of them, `Group` runs one for tests,
and `Clients` give it something to do.
"""

from ._changes import Action, Change, Standing
from ._client import Channel, Client
from ._clients import Clients
from ._errors import GaveUpError, WriteError
from ._frames import Kind, Reply, Request, Status
from ._group import Gate, Group, Host
from ._machine import Machine, Operation, Result, Table, Write

__all__ = [
    "Action",
    "Change",
    "Channel",
    "Client",
    "Clients",
    "Gate",
    "GaveUpError",
    "Group",
    "Host",
    "Kind",
    "Machine",
    "Operation",
    "Reply",
    "Request",
    "Result",
    "Standing",
    "Status",
    "Table",
    "Write",
    "WriteError",
]
