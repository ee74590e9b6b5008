"""Sums over runs, for those that are in memory no more."""

from collections.abc import Iterable
from typing import TypeAlias

import attrs

from toka.orchestration import RunView
from toka.types import NOTHING, Amounts

Counts: TypeAlias = dict[str, int]
"""By state."""


@attrs.define
class Totals:
    """How many there are, and what they have used up."""

    runs: Counts = attrs.Factory(Counts)
    agents: Counts = attrs.Factory(Counts)
    tasks: Counts = attrs.Factory(Counts)
    steps: int = 0
    spent: Amounts = NOTHING

    def add(self, view: RunView) -> None:
        """Count a run."""
        agents = [agent for path, agent in view.agents.items() if path != view.run]
        _count(self.runs, [view.root.phase])
        _count(self.agents, [agent.phase for agent in agents])
        for agent in agents:
            _count(self.tasks, [task.phase for task in agent.tasks.values()])
        self.steps += view.steps
        self.spent += view.spent

    def copy(self) -> "Totals":
        """Return the same figures, to be counted on."""
        counts = (self.runs.copy(), self.agents.copy(), self.tasks.copy())
        return Totals(*counts, self.steps, self.spent)


def _count(counts: Counts, states: Iterable[str]) -> None:
    for state in states:
        counts[state] = counts.get(state, 0) + 1
