"""The commands of the quorum and of the configuration-change transcripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_core import (
    ConfChangeError,
    ConfChangeSingle,
    ConfChangeType,
    ConfState,
    JointConfig,
    MajorityConfig,
)
from raft_core._changer import enter_joint, leave_joint, simple
from raft_core._quorum import EVERYTHING
from raft_core._tracker import Tracker

from . import describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from .transcripts import Command

_CHANGES = {
    "v": ConfChangeType.ADD_NODE,
    "l": ConfChangeType.ADD_LEARNER,
    "r": ConfChangeType.REMOVE_NODE,
    "u": ConfChangeType.UPDATE_NODE,
    "w": ConfChangeType.ADD_WITNESS,
}


def parse_changes(text: str) -> tuple[ConfChangeSingle, ...]:
    return tuple(ConfChangeSingle(_CHANGES[word[0]], int(word[1:])) for word in text.split())


class Quorum:
    """`committed` and `vote` with cfg=, cfgj=, idx= and votes=."""

    def handle(self, command: Command) -> str:
        incoming = MajorityConfig(self._ids(command, "cfg"))
        joint = bool(command.values("cfgj"))
        outgoing = MajorityConfig(
            () if command.value("cfgj") == "zero" else self._ids(command, "cfgj")
        )
        config = JointConfig(incoming, outgoing)
        order = list(dict.fromkeys((*self._ids(command, "cfg"), *outgoing.ids)))
        if joint and command.value("cfgj") != "zero":
            order = list(dict.fromkeys((*self._ids(command, "cfg"), *self._ids(command, "cfgj"))))
        given = [value for value in command.values("idx") or command.values("votes") if value]
        if len(given) != len(order):
            return mismatched(config.ids, given)
        known = {voter: value for voter, value in zip(order, given, strict=True) if value != "_"}
        if command.name == "vote":
            return self._vote(config, known)
        return self._committed(config, {voter: int(value) for voter, value in known.items()})

    @staticmethod
    def _ids(command: Command, key: str) -> tuple[int, ...]:
        return tuple(int(value) for value in command.values(key) if value)

    @staticmethod
    def _vote(config: JointConfig, known: dict[int, str]) -> str:
        votes = {voter: value == "y" for voter, value in known.items()}
        result = config.vote_result(votes)
        assert JointConfig(config.outgoing, config.incoming).vote_result(votes) is result
        return f"Vote{result.name.capitalize()}"

    @staticmethod
    def _committed(config: JointConfig, known: dict[int, int]) -> str:
        def acked(voter: int) -> int:
            return known.get(voter, 0)

        index = config.committed_index(acked)
        assert JointConfig(config.outgoing, config.incoming).committed_index(acked) == index
        if not config.outgoing.ids:
            assert config.incoming.committed_index(acked) == index
            assert index == by_definition(config.incoming, acked)
        text = "∞" if index == EVERYTHING else str(index)
        return f"{bars(config.ids, known)}{text}"


def mismatched(voters: tuple[int, ...], given: list[str]) -> str:
    expected = " ".join(f"{voter}:{{}}" for voter in voters)
    numbers = " ".join({"_": "0", "n": "1", "y": "2"}.get(value, value) for value in given)
    return f"error: mismatched input (explicit or _) for voters map[{expected}]: [{numbers}]"


def by_definition(config: MajorityConfig, acked: Callable[[int], int]) -> int:
    """The highest index that more than half of the voters have acknowledged, the slow way."""
    if not config.ids:
        return EVERYTHING
    candidates = sorted({0, *map(acked, config.ids)}, reverse=True)
    return next(
        index
        for index in candidates
        if sum(acked(voter) >= index for voter in config.ids) > len(config.ids) // 2
    )


def bars(voters: tuple[int, ...], known: dict[int, int]) -> str:
    """Draw each voter's index as a bar as long as there are voters behind it."""
    if not voters:
        return "<empty majority quorum>"
    count = len(voters)
    lines = [" " * count + "    idx"]
    for voter in voters:
        index = known.get(voter, 0)
        behind = sum(known.get(other, 0) < index for other in voters)
        bar = "x" * behind + ">" + " " * (count - behind)
        if voter not in known:
            bar = "?" + " " * count
        lines.append(f"{bar} {index:5d}    (id={voter:x})")
    return "\n".join(lines) + "\n"


class ConfigurationChanges:
    """`simple`, `enter-joint` and `leave-joint`, one after the other on one configuration."""

    def __init__(self) -> None:
        self._tracker = Tracker(10, 2**62)
        self._last_index = 0

    def handle(self, command: Command) -> str:
        try:
            conf = self._change(command)
        except ConfChangeError as error:
            return error.reason
        else:
            self._tracker.switch_to(conf, self._last_index)
            progress = describe.all_progress(self._tracker.progress)
            return f"{describe.configuration(conf)}\n{progress}"
        finally:
            self._last_index += 1

    def _change(self, command: Command) -> ConfState:
        conf = self._tracker.conf
        changes = parse_changes(command.input)
        if command.name == "simple":
            return simple(conf, changes)
        if command.name == "enter-joint":
            return enter_joint(conf, changes, auto_leave=command.flag("autoleave"))
        assert command.name == "leave-joint"
        return leave_joint(conf)
