"""The end of a run: faults stop; the group must serve, come to one state, and have lost nothing.

Safety alone is cheap: a group that does nothing breaks no promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raft_core._conf_changes import ConfChangeV2
from raft_core.simulation._invariants import broken
from raft_core.simulation._linearizability import Verdict, check_history
from raft_core.simulation._oracle import check_positions
from raft_core.simulation._profile import TICK
from raft_core.simulation._store import Kind, Store
from raft_core.simulation._violation import Invariant

if TYPE_CHECKING:
    from collections.abc import Callable

    from raft_core.simulation._host import Host
    from raft_core.simulation._simulation import Simulation

#: So long may each part of healing take. An election may need several timeouts, a lost snapshot
#: is sent again after its own.
PATIENCE: Final = 1500 * TICK


def heal(run: Simulation) -> None:
    """Let faults be over, and hold the group to what it owes.

    Raises:
        InvariantViolationError: It owes it still.

    """
    run.closing = True
    run.network.heal()
    run.laziness = run.disk_delay = run.disk_failures = 0
    for host in run.hosts.values():
        host.mend()
        host.start()
    _wait(run, Invariant.SERVICE, lambda: all(client.idle for client in run.clients))
    first = run.clients[0]
    for kind in (Kind.PUT, Kind.GET):
        first.begin(kind, 1)
        _wait(run, Invariant.SERVICE, lambda: first.idle)
    _wait(run, Invariant.CONVERGENCE, lambda: _has_converged(run))
    _check_durability(run)
    _check_answers(run)


def _wait(run: Simulation, invariant: Invariant, is_done: Callable[[], bool]) -> None:
    deadline = run.now + PATIENCE
    look = run.now
    while run.now < deadline:
        if run.now >= look:
            if is_done():
                return
            look = run.now + TICK
            _do_as_asked(run)
        run.advance()
    hosts = ", ".join(_describe(host) for host in run.hosts.values())
    raise broken(invariant, f"not after {PATIENCE // TICK} ticks without faults: {hosts}")


def _do_as_asked(run: Simulation) -> None:
    """Do what a leader's application is waited for: end joint configurations, make snapshots."""
    for host in run.hosts.values():
        if host.leads and host.conf.is_joint and not host.conf.auto_leave:
            host.change_members(ConfChangeV2())
        host.serve_requests()


def _describe(host: Host) -> str:
    raft = host.node.raft
    return (
        f"{host.id} ({raft.role.name.lower()} of {raft.lead} in {raft.term}, applied "
        f"{host.store.applied}, committed {raft.log.committed} of {raft.log.last_index()}, "
        f"{host.conf})"
    )


def _leader(run: Simulation) -> Host | None:
    leaders = [host for host in run.hosts.values() if host.leads]
    return max(leaders, key=lambda host: host.node.raft.term, default=None)


def _has_converged(run: Simulation) -> bool:
    leader = _leader(run)
    if leader is None or leader.conf.is_joint:
        return False
    frontier = run.invariants.frontier
    return leader.node.raft.log.last_index() == frontier and all(
        run.hosts[member].store.applied == frontier and run.hosts[member].conf == leader.conf
        for member in leader.conf.members
    )


def _check_durability(run: Simulation) -> None:
    """Check that all members hold what replaying the committed log gives."""
    store = Store()
    for entry in run.invariants.history[1:]:
        store.apply(entry)
    state = store.state()
    leader = _leader(run)
    for member in leader.conf.members if leader is not None else ():
        if member not in run.profile.witness_hosts and run.hosts[member].store.state() != state:
            raise broken(Invariant.DURABILITY, f"host {member} does not hold what was committed")


def _check_answers(run: Simulation) -> None:
    wrong = check_positions(run.operations, run.invariants.history)
    if wrong is not None:
        raise broken(Invariant.LINEARIZABLE, wrong)
    verdict = check_history(run.operations)
    if verdict is not Verdict.LINEARIZABLE:
        raise broken(Invariant.LINEARIZABLE, f"no order explains the answers ({verdict.value})")
