"""Retrying a run from one of its steps: what follows that step is done anew, the rest is kept.

A step follows the chosen one if what it came after does, in the order of its path and of the branch
that the path is; if it is on the trunk of a branch where a step that follows has ended before it;
if its agent is at a later task; if its agent waits, as the plan has it, for one that is concerned;
or if it read a message that such an agent has sent since. Everything else did not depend on the
chosen step, as far as the structure of agents, tasks and branches tells, and keeps its outcome.

What failed a task is not kept either: a step that failed, in a task that did not complete, and
after which its path and its trunk did nothing more, is chosen as well.

Pure but for the reading of the log. The same log gives the same answer, so a retried run that is
taken up again after a crash takes over the same outcomes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import inf
from typing import TYPE_CHECKING

import attrs

from toka.orchestration._errors import RunActive, SpecChanged, UnknownStep
from toka.orchestration._history import load_run
from toka.orchestration._past import read_past
from toka.orchestration._plan import plan
from toka.orchestration._run import RetryOf, RunDefinition, require_unchanged
from toka.orchestration._spec_set import SpecSet, load_specs
from toka.types import NULL, AgentId, EventId, TaskId, agent_name, child_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from toka.orchestration._past import Parcel, Past, PastStep
    from toka.store.core import EventStore
    from toka.types import AgentSpec

    Kept = dict[TaskId, dict[tuple[str, int], EventId]]
    """Events of outcomes that stand for steps, by task of the retried run, path and ordinal."""


async def define_retry(store: EventStore, run: AgentId, step: EventId) -> RunDefinition:
    """Return the definition of a run that goes on from a step of an ended one.

    It has the inputs, the specifications and the folder of artifacts of the earlier run: what the
    steps that are kept have left in it is what the others go on with.

    Args:
        store: The log.
        run: The earlier run.
        step: Any event of the step that is to be done anew, with all that follows it.

    Raises:
        UnknownRun: There is no such run.
        RunActive: It has not ended.
        UnknownStep: The run has no step with that event.
        StepNotRecorded: The log was compacted, and has the outcomes no more.
        StoreError: The log cannot be read.
    """
    view = await load_run(store, run)
    if not view.ended or view.spec == NULL:
        raise RunActive(
            f"Run {run} has not ended, so it cannot be retried.",
            hint="Wait for its end, or cancel it.",
            details={"run": run},
        )
    definition = attrs.evolve(RunDefinition.decode(view.spec), retries=RetryOf(run, step))
    await kept_outcomes(store, definition, run)
    return definition


async def kept_outcomes(store: EventStore, definition: RunDefinition, run: AgentId) -> Kept:
    """Return which outcomes a run takes over from the one that it retries.

    Raises:
        UnknownStep: The earlier run has no step with the event that the definition names.
        StepNotRecorded: The log was compacted, and has the outcomes no more.
        StoreError: The log cannot be read.
    """
    retries = definition.retries
    if retries is None:
        return {}
    agents = [child_agent(retries.run, spec.name) for spec in definition.agents]
    past = await read_past(store, retries.run, agents)
    kept: Kept = defaultdict(dict)
    for each in keep(past, retries.step, definition.agents):
        task = TaskId(run + each.task[len(retries.run) :])
        if each.outcome is not None:
            kept[task][each.path, each.ordinal] = each.outcome
    return dict(kept)


def keep(past: Past, chosen: EventId, agents: tuple[AgentSpec, ...]) -> list[PastStep]:
    """Return the steps whose outcomes are kept when a run is done anew from the chosen step.

    Raises:
        UnknownStep: The run has no such step.
    """
    first = next((step for step in past.steps if chosen in step.events), None)
    if first is None:
        raise UnknownStep(
            f"Run {past.run} has no step with event {chosen[:40]!r}.",
            hint="The run's page lists its steps; `toka events --kind step.` prints them.",
            details={"run": past.run, "event": chosen[:64]},
        )
    steps = _of_one_attempt(past.steps, first)
    sweep = _Sweep(past, _waits(agents), {first, *_fatal(steps, past.completed)})
    kept = [step for step in steps if not sweep.follows(step) and step.ended is not None]
    return _without_unread(kept, past)


def _of_one_attempt(steps: list[PastStep], chosen: PastStep) -> list[PastStep]:
    """Return, in the order of the log, each task's steps of its last attempt, or the chosen one."""
    attempts: dict[TaskId, int] = {}
    for step in steps:
        attempts[step.task] = max(step.attempt, attempts.get(step.task, 0))
    attempts[chosen.task] = chosen.attempt
    mine = [step for step in steps if step.attempt == attempts[step.task]]
    return sorted(mine, key=lambda step: step.began)


def _waits(agents: tuple[AgentSpec, ...]) -> Mapping[str, frozenset[str]]:
    """Return the names of all agents that each one waits for, directly or not."""
    arranged = plan(SpecSet(agents))
    waits: dict[str, frozenset[str]] = {}
    for name in arranged.order:
        direct = (*arranged.dependencies[name], *arranged.optional[name])
        waits[name] = frozenset(direct).union(*(waits[other] for other in direct))
    return waits


def _fatal(steps: list[PastStep], completed: set[TaskId]) -> list[PastStep]:
    """Return the failed steps that ended their tasks: nothing came after them."""
    causes = {step.cause for step in steps}
    newest: dict[tuple[TaskId, str], int] = {}
    for step in steps:
        newest[step.task, step.path] = step.began
    return [
        step
        for step in steps
        if step.failed
        and step.task not in completed
        and not causes.intersection(step.events)
        and all(newest.get((step.task, trunk), 0) < (step.ended or 0) for trunk in _trunks(step))
    ]


def _trunks(step: PastStep) -> Iterable[str]:
    path, slash, _ = step.path.rpartition("/")
    while slash:
        yield path
        path, slash, _ = path.rpartition("/")


class _Sweep:
    """Finds what follows, going through the steps in the order of the log, each asked for once."""

    def __init__(
        self, past: Past, waits: Mapping[str, frozenset[str]], chosen: set[PastStep]
    ) -> None:
        self._mail = past.mail
        self._waits = waits
        self._chosen = chosen
        self._events: set[EventId] = set()
        self._agents: dict[str, tuple[int, TaskId]] = {}
        """By name: where the agent's first step is that follows, and in which task."""
        self._joined: dict[tuple[TaskId, str], float] = {}
        """By trunk: where the first step that follows has ended on one of its branches."""

    def follows(self, step: PastStep) -> bool:
        """Say whether a step is done anew."""
        found = (
            step in self._chosen
            or step.cause in self._events
            or self._is_after_branch(step)
            or self._is_of_concerned_agent(step)
            or self._has_read(step)
        )
        if found:
            self._note(step)
        return found

    def _is_after_branch(self, step: PastStep) -> bool:
        return self._joined.get((step.task, step.path), inf) < step.began

    def _is_of_concerned_agent(self, step: PastStep) -> bool:
        name = agent_name(step.agent)
        known = self._agents.get(name)
        if known is not None and known[1] != step.task:
            return True
        return not self._waits[name].isdisjoint(self._agents)

    def _has_read(self, step: PastStep) -> bool:
        position, parcel = self._mail.get(step.message, (0, ("", "", b"")))
        known = self._agents.get(agent_name(AgentId(parcel[0])))
        return known is not None and known[0] < position

    def _note(self, step: PastStep) -> None:
        self._events.update(step.events)
        self._agents.setdefault(agent_name(step.agent), (step.began, step.task))
        for trunk in _trunks(step):
            place = (step.task, trunk)
            self._joined[place] = min(self._joined.get(place, inf), step.ended or inf)


def _without_unread(kept: list[PastStep], past: Past) -> list[PastStep]:
    """Leave out the sending of what no kept step has read: it must lie in the new mailbox."""
    read: Counter[Parcel] = Counter(
        past.mail[step.message][1] for step in kept if step.message in past.mail
    )
    left: list[PastStep] = []
    for step in kept:
        if step.sent is not None:
            if not read[step.sent]:
                continue
            read[step.sent] -= 1
        left.append(step)
    return left


def require_source_unchanged(
    definition: RunDefinition, load: Callable[[Path], SpecSet] = load_specs
) -> None:
    """Refuse to retry from a step under specifications that have been edited since.

    The retry would go by what the earlier run has recorded, which whoever edited them would not
    expect. Where they are gone, nobody can be mistaken.

    Raises:
        SpecChanged: Names the first step, task or agent that differs.
        SpecError: They cannot be read as specifications any more.
    """
    from pathlib import Path  # noqa: PLC0415 - an annotation elsewhere

    paths = [Path(line) for line in definition.source.split("\n")]
    if not all(path.exists() for path in paths):
        return
    agents = tuple(agent for path in paths for agent in load(path).agents)
    try:
        require_unchanged(definition, attrs.evolve(definition, agents=agents))
    except SpecChanged as changed:
        raise SpecChanged(
            changed.message.replace("is half done", "was done", 1),
            hint="Put it back to retry from a step, or run it anew.",
            details=changed.details,
        ) from None
