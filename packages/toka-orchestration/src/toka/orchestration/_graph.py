"""Things that wait for each other: their order, found once and for all before anything starts.

Pure: the same things in the same order give the same plan. Where nothing else decides, critical
goes before high before medium before low, then whoever was written first.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import attrs

from toka.types import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toka.orchestration._place import SpecWarning
    from toka.types import Priority


@attrs.frozen
class Vertex:
    """One thing and the names of what it waits for, all of which exist."""

    name: str
    priority: Priority = "medium"
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Everything that ends before this starts."""
        return (*self.required, *self.optional)


@attrs.frozen
class Plan:
    """In which order things can be done."""

    order: tuple[str, ...]
    """Each after everything that it waits for; the most urgent first."""
    waves: tuple[tuple[str, ...], ...]
    """As few groups as possible, each after the ones before it; a group can run at once."""
    dependencies: Mapping[str, tuple[str, ...]]
    """What must have completed before each."""
    optional: Mapping[str, tuple[str, ...]]
    """What must have ended before each, well or not."""
    critical_path: tuple[str, ...]
    """A longest chain of things that wait for each other."""
    urgency: Mapping[str, int]
    """Position by priority, then by place; the lowest goes first."""
    warnings: tuple[SpecWarning, ...] = ()


class CycleFound(Exception):
    """Vertices wait for each other in a circle."""

    def __init__(self, cycle: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(cycle))
        self.cycle = cycle
        """The first name is repeated at the end; each waits for the next."""


def arrange(vertices: Sequence[Vertex]) -> Plan:
    """Return the plan of things with distinct names.

    Raises:
        CycleFound: They wait for each other in a circle.
    """
    by_name = {vertex.name: vertex for vertex in vertices}
    ranks = sorted(
        range(len(vertices)), key=lambda index: (PRIORITIES.index(vertices[index].priority), index)
    )
    urgency = {vertices[index].name: rank for rank, index in enumerate(ranks)}
    order = _order(by_name, urgency)
    if len(order) < len(by_name):
        done = set(order)
        raise CycleFound(_cycle([vertex for vertex in vertices if vertex.name not in done]))
    return Plan(
        order=order,
        waves=_waves(order, by_name, urgency),
        dependencies={name: by_name[name].required for name in by_name},
        optional={name: by_name[name].optional for name in by_name},
        critical_path=_longest(order, by_name),
        urgency=urgency,
    )


def _order(by_name: Mapping[str, Vertex], urgency: Mapping[str, int]) -> tuple[str, ...]:
    """Kahn's algorithm with a queue by urgency; shorter than `by_name` if there is a cycle."""
    missing = {name: len(set(vertex.waits_for)) for name, vertex in by_name.items()}
    waiting: dict[str, list[str]] = {name: [] for name in by_name}
    for name, vertex in by_name.items():
        for other in set(vertex.waits_for):
            waiting[other].append(name)
    queue = [(urgency[name], name) for name, count in missing.items() if not count]
    heapq.heapify(queue)
    order: list[str] = []
    while queue:
        _, name = heapq.heappop(queue)
        order.append(name)
        for other in waiting[name]:
            missing[other] -= 1
            if not missing[other]:
                heapq.heappush(queue, (urgency[other], other))
    return tuple(order)


def _cycle(left: Sequence[Vertex]) -> tuple[str, ...]:
    """Walk among vertices that each wait for another of them until one comes round again."""
    by_name = {vertex.name: vertex for vertex in left}
    path = [left[0].name]
    seen = {path[0]: 0}
    while True:
        following = next(name for name in by_name[path[-1]].waits_for if name in by_name)
        if following in seen:
            return _from_first(path[seen[following] :], list(by_name))
        seen[following] = len(path)
        path.append(following)


def _from_first(cycle: list[str], names: list[str]) -> tuple[str, ...]:
    start = cycle.index(min(cycle, key=names.index))
    turned = cycle[start:] + cycle[:start]
    return (*turned, turned[0])


def _waves(
    order: tuple[str, ...], by_name: Mapping[str, Vertex], urgency: Mapping[str, int]
) -> tuple[tuple[str, ...], ...]:
    level: dict[str, int] = {}
    waves: list[list[str]] = []
    for name in order:
        level[name] = max([level[other] + 1 for other in by_name[name].waits_for], default=0)
        if level[name] == len(waves):
            waves.append([])
        waves[level[name]].append(name)
    return tuple([tuple(sorted(wave, key=urgency.__getitem__)) for wave in waves])


def _longest(order: tuple[str, ...], by_name: Mapping[str, Vertex]) -> tuple[str, ...]:
    length: dict[str, int] = {}
    before: dict[str, str | None] = {}
    for name in order:
        # The first of several equally long chains, so that the answer does not depend on chance.
        before[name] = max(by_name[name].waits_for, key=length.__getitem__, default=None)
        length[name] = length.get(before[name] or "", 0) + 1
    at: str | None = max(order, key=length.__getitem__, default=None)
    chain: list[str] = []
    while at is not None:
        chain.append(at)
        at = before[at]
    return tuple(reversed(chain))
