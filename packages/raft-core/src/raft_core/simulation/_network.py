"""A simulated network: links that lose, delay, double, cut in one direction, and flap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core.simulation._profile import TICK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raft_core.simulation._dice import Dice
    from raft_core.simulation._profile import Profile


class Network:
    """All links between the hosts of a run."""

    __slots__ = ("_copies", "_cut", "_delay", "_dice", "_flapping", "_hosts", "_loss")

    def __init__(self, profile: Profile, dice: Dice) -> None:
        self._dice = dice
        self._hosts: Sequence[int] = profile.hosts
        self._loss = profile.loss
        self._copies = profile.copies
        self._delay = profile.delay
        # Membership is all that is ever asked of these: sets of pairs have an order of their own.
        self._cut: set[tuple[int, int]] = set()
        self._flapping: dict[tuple[int, int], int] = {}

    def delays(self) -> tuple[int, ...]:
        """Return after what time each copy of a message arrives; none if it is lost."""
        dice = self._dice
        if dice.chance(self._loss):
            return ()
        first = 1 + dice.below(self._delay)
        if dice.chance(self._copies):
            return first, 1 + dice.below(4 * self._delay)
        return (first,)

    def is_cut(self, sender: int, to: int, now: int) -> bool:
        """Say whether what arrives now is lost."""
        link = (sender, to)
        if link in self._cut:
            return True
        period = self._flapping.get(link)
        return period is not None and bool((now // period) & 1)

    def heal(self) -> None:
        """Let every message arrive, soon and in order."""
        self._loss = self._copies = 0
        self._delay = 2
        self.mend()

    def mend(self) -> None:
        """Undo the last partition."""
        self._cut.clear()
        self._flapping.clear()

    def disturb(self, victim: int) -> None:
        """Cut some links, in place of those cut before, or none."""
        self.mend()
        pattern = self._dice.pick(
            (
                self._spare,
                self._isolate,
                self._split,
                self._mute,
                self._deafen,
                self._fray,
                self._flap,
            )
        )
        pattern(victim)

    def _isolate(self, victim: int) -> None:
        self._cut_where(lambda sender, to: victim in (sender, to))

    def _split(self, _victim: int) -> None:
        side = [self._dice.below(2) for _ in range(len(self._hosts) + 1)]
        self._cut_where(lambda sender, to: side[sender] != side[to])

    def _mute(self, victim: int) -> None:
        self._cut_where(lambda sender, _to: sender == victim)

    def _deafen(self, victim: int) -> None:
        self._cut_where(lambda _sender, to: to == victim)

    def _fray(self, _victim: int) -> None:
        self._cut_where(lambda _sender, _to: self._dice.chance(300))

    def _cut_where(self, severed: Callable[[int, int], bool]) -> None:
        for sender in self._hosts:
            for to in self._hosts:
                if sender != to and severed(sender, to):
                    self._cut.add((sender, to))

    def _flap(self, _victim: int) -> None:
        for sender in self._hosts:
            for to in self._hosts:
                if self._dice.chance(400):
                    self._flapping[sender, to] = TICK * (1 + self._dice.below(12))

    def _spare(self, _victim: int) -> None:
        """Cut nothing."""
