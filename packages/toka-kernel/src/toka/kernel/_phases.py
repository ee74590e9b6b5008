"""The lives of agents and tasks, as tables.

What an agent may do is a row of `AGENT_TRANSITIONS`; a trigger that its row does not name is
refused. An agent that lives and is not suspended is in whichever of four phases its work puts it,
so those four share a row, and the entry `ACTIVE` means "ask `activity`".

    configured   spawned, and never given a task
    ready        a task waits to be started
    running      a task runs
    waiting      nothing can run: every task has ended, or waits for an approval
    suspended    lives, and starts nothing
    completed, failed, terminated      ended; only a restart leads out

Tasks leave the state when they end well or are not wanted any more. One that failed, or that was
cancelled because its agent ended, stays as long as the agent's family: a restart revives it.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

AgentPhase: TypeAlias = Literal[
    "configured", "ready", "running", "waiting", "suspended", "completed", "failed", "terminated"
]
TaskPhase: TypeAlias = Literal["queued", "running", "failed", "cancelled"]

AgentTrigger: TypeAlias = Literal[
    "work", "start", "suspend", "resume", "complete", "fail", "terminate", "restart"
]
"""`start` begins a task or an effect; `work` is everything else that an agent lives through."""
TaskTrigger: TypeAlias = Literal["start", "act", "release", "retry", "end", "cancel", "revive"]
"""`act` is whatever the holder of the lease does without ending the task."""

ACTIVE: Final = "active"

_LIVE: Final[Mapping[AgentTrigger, AgentPhase | Literal["active"]]] = {
    "work": ACTIVE,
    "start": ACTIVE,
    "suspend": "suspended",
    "complete": "completed",
    "fail": "failed",
    "terminate": "terminated",
}
_ENDED: Final[Mapping[AgentTrigger, AgentPhase | Literal["active"]]] = {"restart": ACTIVE}

AGENT_TRANSITIONS: Final[
    Mapping[AgentPhase, Mapping[AgentTrigger, AgentPhase | Literal["active"]]]
] = {
    "configured": _LIVE,
    "ready": _LIVE,
    "running": _LIVE,
    "waiting": _LIVE,
    "suspended": {
        "work": "suspended",
        "resume": ACTIVE,
        "fail": "failed",
        "terminate": "terminated",
    },
    "completed": _ENDED,
    "failed": _ENDED,
    "terminated": _ENDED,
}

TASK_TRANSITIONS: Final[Mapping[TaskPhase, Mapping[TaskTrigger, TaskPhase | None]]] = {
    "queued": {"start": "running", "cancel": "cancelled"},
    "running": {
        "start": "running",  # another holder takes over where the lease is void
        "act": "running",
        "release": "queued",
        "retry": "queued",
        "end": None,
        "cancel": "cancelled",
    },
    "failed": {"revive": "queued"},
    "cancelled": {"revive": "queued"},
}

ENDED: Final[frozenset[AgentPhase]] = frozenset({"completed", "failed", "terminated"})


def activity(*, tasks: int, queued: int, running: int, asking: int) -> AgentPhase:
    """Return the phase of an agent that lives and is not suspended.

    Args:
        tasks: Tasks ever scheduled.
        queued: Tasks that wait to be started.
        running: Tasks under a lease.
        asking: Running tasks that wait for an approval.

    """
    if running > asking:
        return "running"
    if queued:
        return "ready"
    return "waiting" if tasks else "configured"
