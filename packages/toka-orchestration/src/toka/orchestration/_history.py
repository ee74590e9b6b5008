"""A run's past, read back from its streams: where to go on, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.kernel import AgentSpawned
from toka.orchestration._errors import UnknownRun
from toka.orchestration._run import AgentResult, ObjectiveResult, RunDefinition, RunResult
from toka.orchestration._view import Runs
from toka.runtime import NO_TRACING, Logged, from_store
from toka.store.core import Query
from toka.types import AgentId, EntityId, InvalidValueError, child_agent, digest, root_agent

if TYPE_CHECKING:
    from toka.orchestration._run import RunState
    from toka.orchestration._view import AgentView, RunView
    from toka.runtime import Runtime
    from toka.store.core import EventStore


_SPAWNED: Final = ("agent.spawned.",)
_PAGE: Final = 8
"""Events that are read at once; mostly the first is the one."""


@attrs.frozen
class Verdict:
    """What an agent's final event says beside its state: how its objectives fared."""

    objectives: tuple[ObjectiveResult, ...] = ()

    def encode(self) -> msgspec.Raw:
        """Return the verdict as JSON."""
        return msgspec.Raw(msgspec.json.encode(self))

    @classmethod
    def decode(cls, data: msgspec.Raw | None) -> Verdict:
        """Return the verdict of an agent; an empty one where it left none."""
        if data is None or bytes(data) == b"null":
            return cls()
        return msgspec.json.decode(data, type=cls)


def tag_of(key: str) -> str:
    """Return what the log finds the beginnings of runs with that key by."""
    # A key may be longer than a tag.
    return f"run-key:{digest(key.encode()).hex()}"


async def find_run(store: EventStore, key: str) -> AgentId | None:
    """Return the newest run with that key, or None, however many runs there are.

    Raises:
        StoreError: The log cannot be read.
    """
    cursor, where = 0, Query(kinds=_SPAWNED, tags=(tag_of(key),))
    while page := await store.read_page(cursor, _PAGE, where=where, backward=True):
        for stored in page:
            body = from_store(stored).event.body
            if isinstance(body, AgentSpawned) and body.parent is None and _key_of(body.spec) == key:
                return AgentId(stored.stream)
        cursor = page[-1].position
    return None


class _Keyed(msgspec.Struct):
    """The one field of a run's definition that a search needs."""

    key: str


def _key_of(spec: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(spec, type=_Keyed).key
    except msgspec.MsgspecError:
        # A root agent that somebody spawned without this package is no run of ours.
        return ""


async def load_run(store: EventStore, run: AgentId) -> RunView:
    """Fold the streams of a run and its agents.

    Raises:
        UnknownRun: There is no such run.
        StoreError: The log cannot be read.
    """
    runs = Runs()
    await _fold(runs, store, run)
    view = runs.by_id.get(EntityId(run))
    if view is None:
        raise UnknownRun(
            f"There is no run {run[:64]!r} here.", hint="`toka status` lists the runs of this log."
        )
    for agent in _agents_of(view):
        await _fold(runs, store, agent)
    return view


async def trace_of(runtime: Runtime, run: AgentId) -> str:
    """Return the trace that a run was begun in; empty where none is followed or recorded."""
    if runtime.tracing is NO_TRACING:
        return ""
    traces = [from_store(stored).trace async for stored in runtime.store.read_stream(run)]
    return traces[0] if traces else ""


async def _fold(runs: Runs, store: EventStore, agent: AgentId) -> None:
    async for stored in store.read_stream(agent):
        logged = from_store(stored)
        runs.apply(Logged(logged.position, logged.event))


def _agents_of(view: RunView) -> list[AgentId]:
    definition = RunDefinition.decode(view.spec)
    return [child_agent(view.run, spec.name) for spec in definition.agents]


def check_run_id(text: str) -> AgentId:
    """Return `text` as the id of a run.

    Raises:
        UnknownRun: It is no identifier at all.
    """
    from toka.types import check_entity_id  # noqa: PLC0415 - one caller, at an edge

    try:
        return root_agent(check_entity_id(text))
    except InvalidValueError as error:
        raise UnknownRun(f"There is no run {text[:64]!r} here: {error}") from error


def result_of(view: RunView, definition: RunDefinition | None = None) -> RunResult:
    """Say how a run ended, or that it has not.

    Args:
        view: The run.
        definition: What it is made of; read from the view if left out.
    """
    definition = definition or RunDefinition.decode(view.spec)
    paths = [child_agent(view.run, spec.name) for spec in definition.agents]
    return RunResult(
        run=view.run,
        name=view.name,
        state=_state_of(view.root),
        agents=tuple([_result_of_agent(path, view.agents.get(path)) for path in paths]),
        artifacts=definition.artifacts,
        spent=view.spent,
        reason=view.root.reason,
    )


def _state_of(root: AgentView) -> RunState:
    match root.phase:
        case "completed" | "failed":
            return root.phase
        case "terminated":
            return "cancelled"
        case _:
            return "interrupted"


def _result_of_agent(path: AgentId, agent: AgentView | None) -> AgentResult:
    if agent is None:
        return AgentResult(path, "configured", "It was not spawned.")
    return AgentResult(path, agent.phase, agent.reason, Verdict.decode(agent.result).objectives)
