"""What goes wrong in a run, besides single messages and single syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raft_core._conf_changes import (
    AnyConfChange,
    ConfChange,
    ConfChangeSingle,
    ConfChangeTransition,
    ConfChangeType,
    ConfChangeV2,
)
from raft_core.simulation._profile import TICK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raft_core.simulation._dice import Dice
    from raft_core.simulation._host import Host
    from raft_core.simulation._profile import Profile
    from raft_core.simulation._simulation import Simulation

_TYPES: Final = (
    ConfChangeType.ADD_NODE,
    ConfChangeType.REMOVE_NODE,
    ConfChangeType.UPDATE_NODE,
    ConfChangeType.ADD_LEARNER,
)
_TRANSITIONS: Final = tuple(ConfChangeTransition)


class Faults:
    """Disturbs the group now and then, in ways and with shares that the profile names."""

    def __init__(self, run: Simulation, dice: Dice) -> None:
        self._run = run
        self._dice = dice
        self._urn = tuple(
            kind for kind, share in _shares(run.profile).items() for _ in range(share)
        )

    def disturb(self, _: None) -> None:
        """Do one thing that a group should survive, and come again."""
        run, dice = self._run, self._dice
        if run.closing:
            return
        run.at(1 + dice.below(2 * run.profile.unrest), self.disturb, None)
        if not self._urn:
            return
        kind = dice.pick(self._urn)
        run.count(kind)
        host = self._victim()
        _DISTURBANCES[kind](self, host)

    def _victim(self) -> Host:
        """Return a host; every other time a leader, where most is to be broken."""
        if self._dice.below(2):
            leaders = [host for host in self._run.hosts.values() if host.leads]
            if leaders:
                return self._dice.pick(leaders)
        return self._run.hosts[self._dice.pick(self._run.profile.hosts)]

    def partition(self, host: Host) -> None:
        """Cut links."""
        self._run.network.disturb(host.id)

    def crash(self, host: Host) -> None:
        """Cut the power, and give it back."""
        host.crash()
        delay = self._dice.pick((1, TICK, 10 * TICK, 40 * TICK))
        self._run.at(1 + self._dice.below(delay), self._run.restart, host)

    def stop_clock(self, host: Host) -> None:
        """Let a host's clock stand still."""
        host.stopped_until = self._run.now + TICK * (1 + self._dice.below(30))

    def slow_disk(self, host: Host) -> None:
        """Let syncs take their time."""
        host.slow_until = self._run.now + TICK * (1 + self._dice.below(30))

    def burst(self, host: Host) -> None:
        """Give a host much to replicate, so that logs differ by more than an entry."""
        if host.up:
            host.burden(1 + self._dice.below(12))

    def change(self, host: Host) -> None:
        """Propose a change of members."""
        if host.up:
            host.change_members(self._change(host))

    def _change(self, host: Host) -> AnyConfChange:
        dice = self._dice
        if host.conf.is_joint and dice.below(3):
            return ConfChangeV2()
        singles = tuple(
            [
                self._single(dice.pick(_TYPES), dice.pick(self._run.profile.hosts))
                for _ in range(dice.pick((1, 1, 2, 3, 4)))
            ]
        )
        if len(singles) == 1 and dice.below(2):
            return ConfChange(singles[0].type, singles[0].node_id)
        return ConfChangeV2(singles, dice.pick(_TRANSITIONS))

    def _single(self, kind: ConfChangeType, member: int) -> ConfChangeSingle:
        if member in self._run.profile.witness_hosts and kind in (
            ConfChangeType.ADD_NODE,
            ConfChangeType.ADD_LEARNER,
        ):
            kind = ConfChangeType.ADD_WITNESS
        return ConfChangeSingle(kind, member)

    def transfer(self, host: Host) -> None:
        """Move leadership."""
        if host.up:
            host.node.transfer_leader(self._dice.pick(self._run.profile.hosts))
            host.after()

    def compact(self, host: Host) -> None:
        """Make a snapshot and drop some of the log, or let the application write its state."""
        if host.up:
            if self._dice.below(3):
                host.compact()
            else:
                host.keep()

    def lose_state(self, host: Host) -> None:
        """Let one application lose its state; the others still have theirs."""
        others = [one for one in self._run.hosts.values() if one is not host]
        if host.up and not any(one.lost for one in others):
            host.lose_state()

    def campaign(self, _: Host) -> None:
        """Let any host campaign, or forget its leader."""
        host = self._run.hosts[self._dice.pick(self._run.profile.hosts)]
        if host.up:
            if self._dice.below(4):
                host.node.campaign()
            else:
                host.node.forget_leader()
            host.after()


_DISTURBANCES: Final[Mapping[str, Callable[[Faults, Host], None]]] = {
    "partition": Faults.partition,
    "power cut": Faults.crash,
    "stopped clock": Faults.stop_clock,
    "slow disk": Faults.slow_disk,
    "burst": Faults.burst,
    "change asked for": Faults.change,
    "transfer asked for": Faults.transfer,
    "snapshot asked for": Faults.compact,
    "campaign asked for": Faults.campaign,
    "state lost": Faults.lose_state,
}


def _shares(profile: Profile) -> dict[str, int]:
    return {
        "partition": profile.partitions,
        "power cut": profile.crashes,
        "stopped clock": profile.stops,
        "slow disk": profile.slow_disks,
        "burst": profile.bursts,
        "change asked for": profile.changes,
        "transfer asked for": profile.transfers,
        "snapshot asked for": profile.snapshots,
        "campaign asked for": profile.campaigns,
        "state lost": profile.lost_states,
    }
