"""What a run is given from outside: checked against what its agents declare."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from toka.orchestration._errors import SeveralSpecErrors, SpecError, SpecInputError
from toka.orchestration._spec_reader import suggest
from toka.types import NULL, InputDefinition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.orchestration._spec_set import SpecSet
    from toka.types import Json

_MENTIONED = re.compile(rb"""inputs(?:\.|\[\\?["'])([A-Za-z_][A-Za-z0-9_]*)""")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def resolve_inputs(specs: SpecSet, given: Mapping[str, str], directory: Path) -> dict[str, Json]:
    """Return the value of every input of a set of agents, by name.

    A given name that no agent declares is taken as a truth value where it is a condition of tasks,
    and as text where an expression mentions it or where an agent declares nothing and runs code,
    which may ask for anything. Every other one is a slip.

    Args:
        specs: The agents.
        given: What was given on a command line or in a request, as text.
        directory: What relative paths are relative to.

    Raises:
        SpecInputError: A name is unknown, a value is missing or has the wrong type, or two agents
            declare one input differently.
    """
    declared, errors = _declared(specs)
    values: dict[str, Json] = {}
    for name, definition in declared.items():
        try:
            values[name] = _value(definition, given.get(name), directory)
        except SpecInputError as error:
            errors.append(error)
    for name in given:
        if name in declared:
            continue
        if _is_condition(specs, name):
            errors += _read_condition(name, given[name], values)
        elif _is_welcome(specs, name):
            values[name] = given[name]
        else:
            what = f"No agent has an input {name!r}."
            errors.append(SpecInputError(what, hint=suggest(name, declared)))
    if errors:
        raise SeveralSpecErrors.of(errors)
    return values


def _declared(specs: SpecSet) -> tuple[dict[str, InputDefinition], list[SpecError]]:
    declared: dict[str, InputDefinition] = {}
    errors: list[SpecError] = []
    for agent in specs.agents:
        for definition in agent.inputs:
            first = declared.setdefault(definition.name, definition)
            if (first.kind, first.default) != (definition.kind, definition.default):
                path = f"inputs.{definition.name}"
                what = f"Another agent declares {definition.name!r} with another type or default."
                place = specs.place(agent.name, path)
                errors.append(SpecInputError.at(place, what, "Declare it alike everywhere."))
    return declared, errors


def _value(definition: InputDefinition, given: str | None, directory: Path) -> Json:
    if given is not None:
        return _read(definition, given, directory)
    if definition.default != NULL:
        default = cast("Json", msgspec.json.decode(definition.default))
        return _read(definition, _as_text(default), directory) if default is not None else None
    if definition.required:
        about = f" ({definition.description})" if definition.description else ""
        raise SpecInputError(
            f"The input {definition.name!r}{about} is missing.",
            hint=f"Give it: --input {definition.name}=VALUE",
        )
    return False if definition.kind == "boolean" else None


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _read(definition: InputDefinition, text: str, directory: Path) -> Json:
    try:
        match definition.kind:
            case "text":
                return text
            case "path":
                # Absolute, so that a run resumed from another directory means the same place.
                return str((directory / Path(text).expanduser()).absolute())
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return _TRUTH[text.lower()]
    except (ValueError, KeyError, RuntimeError) as error:
        raise SpecInputError(
            f"The input {definition.name!r} is no {definition.kind}: {text[:80]!r}."
        ) from error


def _is_condition(specs: SpecSet, name: str) -> bool:
    return any(task.condition == name for agent in specs.agents for task in agent.tasks)


def _read_condition(name: str, text: str, values: dict[str, Json]) -> list[SpecError]:
    try:
        values[name] = _read(InputDefinition(name, kind="boolean"), text, Path())
    except SpecInputError as error:
        return [error]
    return []


def _is_welcome(specs: SpecSet, name: str) -> bool:
    encoded = name.encode()
    for agent in specs.agents:
        if encoded in _MENTIONED.findall(msgspec.json.encode(agent)):
            return True
        if not agent.inputs and any(agent.way(task) == "code" for task in agent.tasks):
            return True
    return False
