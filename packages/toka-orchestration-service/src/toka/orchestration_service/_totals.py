"""Sums over runs, for those that are in memory no more."""

from collections import Counter

import attrs

from toka.orchestration import RunView
from toka.types import NOTHING, Amounts


@attrs.define
class Totals:
    """How many there are, and what they have used up."""

    runs: Counter[str] = attrs.Factory(Counter[str])
    """By state."""
    agents: Counter[str] = attrs.Factory(Counter[str])
    tasks: Counter[str] = attrs.Factory(Counter[str])
    steps: int = 0
    spent: Amounts = NOTHING

    def add(self, view: RunView) -> None:
        """Count a run."""
        self.runs[view.root.phase] += 1
        self.steps += view.steps
        self.spent += view.spent
        for path, agent in view.agents.items():
            if path != view.run:
                self.agents[agent.phase] += 1
                self.tasks.update(task.phase for task in agent.tasks.values())

    def copy(self) -> "Totals":
        """Return the same figures, to be counted on."""
        return Totals(
            self.runs.copy(), self.agents.copy(), self.tasks.copy(), self.steps, self.spent
        )
