"""From what a person names to what a run is made of."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.orchestration._errors import (
    SeveralSpecErrors,
    SpecError,
    SpecInputError,
    SpecStructureError,
)
from toka.orchestration._grants import OWN_PERMISSIONS
from toka.orchestration._inputs import resolve_inputs
from toka.orchestration._permissions import resolve_permissions
from toka.orchestration._plan import plan
from toka.orchestration._run import (
    DEFAULT_MAX_CONCURRENT,
    DEFAULT_SPAWN_TIMEOUT,
    RunDefinition,
    run_key,
)
from toka.orchestration._spec_reader import suggest
from toka.orchestration._spec_set import SpecSet, SpecSettings, load_specs
from toka.types import MAX_PERMISSIONS, MAX_TOKEN_BYTES, ulid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from toka.orchestration._place import SpecWarning
    from toka.types import AgentSpec, Json

MAX_NAME_CHARACTERS: Final = 64
MAX_RUN_PERMISSIONS: Final = MAX_PERMISSIONS - OWN_PERMISSIONS
MAX_RUN_PERMISSION_BYTES: Final = MAX_TOKEN_BYTES // 4 * 3 - 1_144
"""As JSON; what a token says besides, with the longest names, fits into the rest."""


def define_run(
    paths: Sequence[Path],
    given: Mapping[str, str],
    *,
    data_dir: Path,
    workspace: Path,
    tools: Collection[str] | None = None,
    load: Callable[[Path], SpecSet] = load_specs,
) -> tuple[RunDefinition, tuple[SpecWarning, ...]]:
    """Load specifications and settle everything that a run needs; nothing is started.

    Args:
        paths: Specification files and folders of them.
        given: Values for inputs, as text.
        data_dir: Where the run's artifacts will be kept.
        workspace: What relative paths of inputs and tools are relative to.
        tools: Names of the tools that there are, for steps to be held against; any if None.
        load: Reads a path; `SpecCache.load` does not read what it has read.

    Returns:
        The definition, and what loads but is probably not meant.

    Raises:
        SpecError: A specification, an input or the plan is wrong; every fault is named.
    """
    specs = _load(paths, load)
    arranged = plan(specs)
    if tools is not None:
        _check_tools(specs, tools)
    inputs = resolve_inputs(specs, given, workspace)
    identifier = ulid(time.time_ns() // 1_000_000, os.urandom(10))
    definition = _define(specs, [path.resolve() for path in paths], inputs, workspace.resolve())
    artifacts = str(data_dir.resolve() / "runs" / identifier / "artifacts")
    definition = attrs.evolve(definition, artifacts=artifacts)
    warnings = [*specs.warnings, *arranged.warnings]
    for spec in specs.agents:
        warnings += permissions_of_agent_spec(definition, spec)[1]
    permissions_of(definition)
    return definition, tuple(warnings)


def _check_tools(specs: SpecSet, tools: Collection[str]) -> None:
    errors: list[SpecError] = []
    for spec in specs.agents:
        for task in spec.tasks:
            for number, step in enumerate(task.steps):
                if step.tool not in tools:
                    place = specs.place(spec.name, f"task:{task.id}")
                    what = f"Step {number} of task {task.id} uses {step.tool!r}, which is no tool."
                    errors.append(SpecStructureError.at(place, what, suggest(step.tool, tools)))
    if errors:
        raise SeveralSpecErrors.of(errors)


def _load(paths: Sequence[Path], load: Callable[[Path], SpecSet]) -> SpecSet:
    sets = [load(path) for path in paths]
    if len(sets) == 1:
        return sets[0]
    settings = [each.settings for each in sets if each.settings != SpecSettings()]
    return SpecSet(
        agents=tuple(agent for each in sets for agent in each.agents),
        warnings=tuple(warning for each in sets for warning in each.warnings),
        settings=settings[0] if settings else SpecSettings(),
        files=tuple(file for each in sets for file in each.files),
        places={name: places for each in sets for name, places in each.places.items()},
    )


def _define(
    specs: SpecSet, paths: list[Path], inputs: dict[str, Json], workspace: Path
) -> RunDefinition:
    first, settings = paths[0], specs.settings
    source = "\n".join(str(path) for path in paths)
    return RunDefinition(
        name=_name(first),
        key=run_key(source, inputs),
        source=source,
        directory=str(first if first.is_dir() else first.parent),
        workspace=str(workspace),
        artifacts="",
        inputs=msgspec.Raw(msgspec.json.encode(inputs, order="sorted")),
        agents=specs.agents,
        max_concurrent=settings.max_concurrent_agents or DEFAULT_MAX_CONCURRENT,
        spawn_timeout=settings.agent_spawn_timeout or DEFAULT_SPAWN_TIMEOUT,
        timeout=settings.workstream_timeout,
    )


def _name(path: Path) -> str:
    """Return the name of a run as an agent's name may be: other characters become hyphens."""
    stem = path.name if path.is_dir() else path.stem
    name = "".join(
        char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in stem
    )
    return name.lstrip("._-")[:MAX_NAME_CHARACTERS] or "run"


def run_variables(definition: RunDefinition) -> dict[str, Json]:
    """Return what expressions know as `run`."""
    return {
        "name": definition.name,
        "artifacts": definition.artifacts,
        "workspace": definition.workspace,
    }


def permissions_of_agent_spec(
    definition: RunDefinition, spec: AgentSpec
) -> tuple[tuple[str, ...], tuple[SpecWarning, ...]]:
    """Return the permissions that an agent of a run is spawned with, and what is vague in them.

    Raises:
        SpecError: An entry is no permission, or its expression has no value.
    """
    if not spec.security.capabilities_required:
        return (), ()
    inputs: dict[str, Json] = msgspec.json.decode(definition.inputs)
    granted = resolve_permissions(
        spec, inputs, Path(definition.workspace), run_variables(definition)
    )
    return granted.permissions, granted.warnings


def permissions_of_agents(definition: RunDefinition) -> tuple[str, ...]:
    """Return the union of what a run's agents are spawned with: what the run itself must have.

    Raises:
        SpecError: It is more than one token can carry, or an entry is wrong.
    """
    union = dict.fromkeys(
        permission
        for spec in definition.agents
        for permission in permissions_of_agent_spec(definition, spec)[0]
    )
    size = len(msgspec.json.encode(list(union)))
    if len(union) > MAX_RUN_PERMISSIONS or size > MAX_RUN_PERMISSION_BYTES:
        raise SpecInputError(
            f"The agents ask for {len(union)} different permissions of {size} bytes together; one"
            f" token carries {MAX_RUN_PERMISSIONS} of {MAX_RUN_PERMISSION_BYTES} bytes.",
            hint="Use wider patterns, or several runs.",
        )
    return tuple(union)


def permissions_of(definition: RunDefinition) -> tuple[str, ...]:
    """Return what a token must hold to begin a run.

    Raises:
        SpecError: As for `permissions_of_agents`.
    """
    own = (*permissions_of_agents(definition), f"agent:spawn:{definition.name}")
    retries = definition.retries
    return own if retries is None else (*own, f"event:read:{retries.run}/**")
