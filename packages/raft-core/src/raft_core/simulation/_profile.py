"""What one run is like: the shape of the group, its settings, and how much goes wrong.

Everything is a whole number and drawn from the seed (swarm testing: most faults are absent from
most runs, so that each is seen alone, in pairs, and all at once). What is given beside the seed
stays as given, which is how a failing run is repeated smaller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from raft_core._errors import ConfigError
from raft_core.simulation._dice import Dice

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Units of simulated time between two ticks of a clock that runs true.
TICK: Final = 50
#: No group has more hosts than this.
MAX_HOSTS: Final = 7
#: The stream of the seed that optional settings are drawn from.
_OPTIONS: Final = 6


@attrs.frozen(kw_only=True)
class Profile:
    """One run, completely: the same profile gives the same run."""

    seed: int
    nodes: int
    """Voters at the start."""
    learners: int
    spares: int
    """Hosts that belong to nobody yet and can be added."""
    steps: int
    """Events before everything heals."""
    clients: int
    keys: int
    election_tick: int
    heartbeat_tick: int
    pre_vote: int
    check_quorum: int
    leases: int
    """Reads by lease instead of by asking a quorum."""
    asynchronous: int
    """Storage writes are messages."""
    durable_application: int
    """The application keeps its own state on disk, beyond the latest snapshot."""
    inflight: int
    """Appends under way to one follower."""
    message_size: int
    page_size: int
    snapshot_timeout: int
    loss: int
    """Messages lost, of 1,000."""
    copies: int
    """Messages that arrive twice, of 1,000."""
    delay: int
    """How long a message may take, in units of time; the longer, the more they overtake."""
    wire: int
    """Messages travel as bytes."""
    drift: int
    """By how many units of time the ticks of two clocks may differ."""
    lazy: int
    """How often a node's output is picked up late, of 1,000."""
    disk_delay: int
    """How long a sync may take, in units of time."""
    disk_failures: int
    """Syncs that fail, of 1,000; the process then stops, as it must."""
    unrest: int
    """Units of time between two disturbances, of which the following are the shares."""
    partitions: int
    crashes: int
    stops: int
    """Clocks stand still."""
    slow_disks: int
    bursts: int
    """Many entries at once, for one host."""
    changes: int
    """Changes of members."""
    transfers: int
    snapshots: int
    campaigns: int
    options: int = 0
    """Settings that are off by default, which follow, are drawn as well. They come from a stream of
    their own, so that a seed without them stays the run that it was."""
    priorities: int = 0
    """The highest priority that a node may have."""
    quiesce_tick: int = 0
    snapshot_chunk: int = 0
    """Data of a snapshot in one message."""
    witnesses: int = 0
    """Voters at the start that keep no data."""
    sites: int = 0
    """Hosts stand in so many places, two of which must hold what is committed."""
    lost_states: int = 0
    """Applications that lose their state and ask for a snapshot; a share of the unrest."""

    @classmethod
    def draw(cls, seed: int, given: Mapping[str, int] | None = None) -> Profile:
        """Return the run of a seed, with some fields given instead of drawn.

        Raises:
            ConfigError: There is no such field, or a number cannot be.

        """
        given = given or {}
        names = {field.name for field in attrs.fields(cls)} - {"seed"}
        for name in given:
            if name not in names:
                raise ConfigError(f"a run has no {name}; it has {', '.join(sorted(names))}")
        fields = _draw(Dice(seed))
        if given.get("options"):
            fields |= _draw_options(Dice(seed, _OPTIONS), given.get("nodes", fields["nodes"]))
        profile = cls(seed=seed, **_together({**fields, **given}))
        if profile.leases:
            # A lease needs clocks that run, at about the same rate.
            profile = attrs.evolve(profile, drift=min(profile.drift, 1), stops=0, check_quorum=1)
        return profile

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be run."""
        hosts = self.nodes + self.learners + self.spares
        if not 1 <= self.nodes <= hosts <= MAX_HOSTS:
            raise ConfigError(f"a run has 1 to {MAX_HOSTS} hosts, at least one of them a voter")
        if min(self.delay, self.unrest, self.keys, self.inflight, self.page_size) < 1:
            raise ConfigError("delay, unrest, keys, inflight and page_size must be positive")
        if 2 * self.witnesses > self.nodes:
            raise ConfigError("at most every other voter may be a witness")
        if self.quiesce_tick and (self.leases or not (self.pre_vote and self.check_quorum)):
            raise ConfigError(
                "a run with quiesce_tick has pre_vote and check_quorum, and no leases"
            )

    @property
    def hosts(self) -> range:
        """Return the ids of all hosts."""
        return range(1, self.nodes + self.learners + self.spares + 1)

    @property
    def site_of(self) -> dict[int, int]:
        """Return where each host stands; without sites nothing is known of it."""
        return {one: one % self.sites for one in self.hosts} if self.sites else {}

    @property
    def witness_hosts(self) -> range:
        """Return the ids of the hosts that keep no data."""
        return range(self.nodes - self.witnesses + 1, self.nodes + 1)


#: The least that each field can be: where a failing run is to become smaller.
LEAST: Final[Mapping[str, int]] = {
    **dict.fromkeys(("learners", "spares", "pre_vote", "check_quorum", "leases", "wire"), 0),
    **dict.fromkeys(("asynchronous", "durable_application", "loss", "copies", "drift", "lazy"), 0),
    **dict.fromkeys(("disk_delay", "disk_failures", "partitions", "crashes", "stops"), 0),
    **dict.fromkeys(("slow_disks", "bursts", "changes", "transfers", "snapshots", "campaigns"), 0),
    **dict.fromkeys(("priorities", "quiesce_tick", "snapshot_chunk"), 0),
    **dict.fromkeys(("witnesses", "sites", "lost_states"), 0),
    **dict.fromkeys(("clients", "keys", "delay"), 1),
}


def _draw(dice: Dice) -> dict[str, int]:
    nodes = dice.pick((1, 2, 3, 3, 3, 4, 5, 5, 5, 6, 7))
    learners = min(dice.pick((0, 0, 0, 1, 2)), MAX_HOSTS - nodes)
    leases = dice.pick((0, 0, 0, 1))
    return {
        "nodes": nodes,
        "learners": learners,
        "spares": min(dice.pick((0, 1, 2)), MAX_HOSTS - nodes - learners),
        "steps": dice.pick((600, 1200, 2000, 3000)),
        "clients": dice.pick((1, 2, 4, 6)),
        "keys": dice.pick((1, 2, 3)),
        "election_tick": dice.pick((5, 10)) if leases else dice.pick((3, 5, 8)),
        "heartbeat_tick": 1,
        "pre_vote": dice.below(2),
        "check_quorum": dice.below(2) | leases,
        "leases": leases,
        "asynchronous": dice.below(2),
        "durable_application": dice.pick((0, 0, 1)),
        "inflight": dice.pick((1, 2, 16, 256)),
        "message_size": dice.pick((1, 1, 150, 10_000)),
        "page_size": dice.pick((1, 200, 10_000)),
        "snapshot_timeout": dice.pick((10, 40)),
        "loss": dice.pick((0, 0, 10, 50, 200)),
        "copies": dice.pick((0, 0, 20, 150)),
        "delay": dice.pick((1, 5, 15, 40, 150)),
        "wire": dice.pick((0, 0, 0, 1)),
        "drift": dice.pick((0, 1, 10, 25)),
        "lazy": dice.pick((0, 0, 50, 300)),
        "disk_delay": dice.pick((0, 0, 5, 40)),
        "disk_failures": dice.pick((0, 0, 5, 20)),
        "unrest": dice.pick((25, 50, 100, 200, 400)),
        "partitions": dice.pick((0, 1, 3, 6)),
        "crashes": dice.pick((0, 1, 3, 6)),
        "stops": dice.pick((0, 0, 1, 3)),
        "slow_disks": dice.pick((0, 0, 1, 3)),
        "bursts": dice.pick((0, 1, 2)),
        "changes": dice.pick((0, 0, 2, 6)),
        "transfers": dice.pick((0, 0, 1, 3)),
        "snapshots": dice.pick((0, 1, 3, 6)),
        "campaigns": dice.pick((0, 1, 3, 6)),
    }


def _draw_options(dice: Dice, nodes: int) -> dict[str, int]:
    return {
        "priorities": dice.pick((0, 1, 3)),
        "quiesce_tick": dice.pick((0, 2, 6)),
        "snapshot_chunk": dice.pick((0, 3, 20)),
        "witnesses": min(dice.pick((0, 0, 1, 2)), nodes // 2),
        "sites": dice.pick((0, 0, 2, 3)),
        "lost_states": dice.pick((0, 0, 1, 4)),
    }


def _together(fields: dict[str, int]) -> dict[str, int]:
    """Put settings in order that do not go with quiescence; it may be the rarer one."""
    if fields.get("quiesce_tick"):
        return {**fields, "leases": 0, "pre_vote": 1, "check_quorum": 1}
    return fields
