"""What can be started now, and what never can be: the engine's only question to a plan. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection

    from toka.orchestration._graph import Plan


@attrs.frozen
class Impossible:
    """Something that waits for what has failed."""

    name: str
    chain: tuple[str, ...]
    """From what failed to `name`; each waits for the one before it."""

    @property
    def reason(self) -> str:
        """The chain as a sentence."""
        failed, *rest = self.chain
        if len(rest) == 1:
            return f"{self.name} requires {failed}, which failed."
        waits = " requires ".join(reversed(rest))
        return f"{waits} requires {failed}, which failed."


@attrs.frozen
class Ready:
    """What follows from the state of a run."""

    start: tuple[str, ...]
    """Most urgent first; no more than the limit leaves room for."""
    impossible: tuple[Impossible, ...]
    """What will never start, in the order of the plan."""
    is_over: bool
    """Nothing runs, and nothing is left that could start."""


def ready(
    plan: Plan,
    done: Collection[str],
    failed: Collection[str],
    running: Collection[str],
    *,
    limit: int | None = None,
) -> Ready:
    """Return what to start next.

    Args:
        plan: Of agents or of tasks.
        done: Names of what has completed.
        failed: Names of what has failed, was cancelled, or was found impossible before.
        running: Names of what has started and not ended.
        limit: How many may run at once; None for any number.
    """
    touched = {*done, *failed, *running}
    untouched = [name for name in plan.order if name not in touched]
    chains = _chains(plan, untouched, failed)
    ended = {*done, *failed, *chains}
    candidates = [
        name
        for name in untouched
        if name not in chains
        and all(other in done for other in plan.dependencies[name])
        and all(other in ended for other in plan.optional[name])
    ]
    candidates.sort(key=plan.urgency.__getitem__)
    room = len(candidates) if limit is None else max(0, limit - len(running))
    return Ready(
        start=tuple(candidates[:room]),
        impossible=tuple([Impossible(name, chain) for name, chain in chains.items()]),
        is_over=not running and not candidates,
    )


def _chains(
    plan: Plan, untouched: list[str], failed: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return the chain from a failure to each thing that it makes impossible."""
    chains: dict[str, tuple[str, ...]] = {}
    # In the plan's order whatever something requires comes before it, so one pass is enough.
    for name in untouched:
        for other in plan.dependencies[name]:
            if other in failed:
                chains[name] = (other, name)
                break
            if other in chains:
                chains[name] = (*chains[other], name)
                break
    return chains
