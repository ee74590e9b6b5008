"""Specifications from files: one, or a folder of them, and what they say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.agent_runtime import parse_duration
from toka.orchestration._errors import (
    DuplicateNameError,
    SeveralSpecErrors,
    SpecError,
    SpecFileError,
    SpecStructureError,
)
from toka.orchestration._place import Place, SpecWarning
from toka.orchestration._spec_agent import keep_extra, read_agent, read_limits
from toka.orchestration._spec_node import MapNode, kind
from toka.orchestration._spec_reader import Findings, Reader, as_object
from toka.orchestration._spec_source import MAX_FILE_BYTES, decode, is_folder, read_file, spec_files
from toka.types import EMPTY_OBJECT, AgentSpec, Security

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from toka.orchestration._spec_node import Node

MAX_AGENTS: Final = 1_000
"""Agents of one set."""

_SETTINGS: Final = ("max_concurrent_agents", "agent_spawn_timeout", "workstream_timeout")


@attrs.frozen
class SpecSettings:
    """What a set of specifications says about running them; None leaves it to the caller."""

    max_concurrent_agents: int | None = None
    agent_spawn_timeout: int | None = None
    """Nanoseconds."""
    workstream_timeout: int | None = None
    """Nanoseconds for all agents together."""
    extra: msgspec.Raw = EMPTY_OBJECT
    """Tables beside the agents that nothing interprets, as a JSON object."""


@attrs.frozen
class SpecSet:
    """Agents that are planned and run together."""

    agents: tuple[AgentSpec, ...]
    warnings: tuple[SpecWarning, ...] = ()
    settings: SpecSettings = SpecSettings()
    files: tuple[Path, ...] = ()
    """What was read, in the order in which it was read."""
    places: Mapping[str, Mapping[str, Place]] = attrs.field(
        factory=dict[str, "Mapping[str, Place]"], repr=False
    )
    """By agent: where the parts of its specification stand, by path in the document."""

    def agent(self, name: str) -> AgentSpec:
        """Return the agent called `name`.

        Raises:
            KeyError: There is none.
        """
        for agent in self.agents:
            if agent.name == name:
                return agent
        raise KeyError(name)

    def place(self, agent: str, *paths: str) -> Place:
        """Return where the first known of `paths` stands; the agent's name where none is known."""
        known = self.places.get(agent, {})
        for path in (*paths, "metadata.name", "name"):
            if path in known:
                return known[path]
        return Place(path=agent)


def load_specs(path: Path, *, max_file_bytes: int = MAX_FILE_BYTES) -> SpecSet:
    """Read a specification file, or those of a folder.

    Of a folder, all files that end in `.yaml`, `.yml`, `.toml` or `.json` are read, by name;
    hidden files and folders within are not.

    Args:
        path: The file or folder.
        max_file_bytes: Larger files are refused before they are read.

    Raises:
        SpecError: Something is wrong; every fault of every file is named, nothing is returned.
    """
    files = spec_files(path) if is_folder(path) else (path,)
    parts: list[SpecSet] = []
    errors: list[SpecError] = []
    for file in files:
        try:
            text = read_file(file, max_file_bytes)
            parts.append(attrs.evolve(_read_text(text, str(file), file.suffix), files=(file,)))
        except SpecError as error:
            errors += error.errors
    # Faults between files are looked for in what could be read, to be told in one go.
    errors += _duplicates(parts)
    errors += _conflicts(parts)
    if errors:
        raise SeveralSpecErrors.of(errors)
    return _join(parts, path)


def parse_specs(data: bytes, name: str) -> SpecSet:
    """Read one document that is not in a file.

    Args:
        data: UTF-8 text.
        name: Called the file in errors; its ending says what the text is in.

    Raises:
        SpecError: Something is wrong.
    """
    if len(data) > MAX_FILE_BYTES:
        what = f"The document has {len(data):,} bytes; at most {MAX_FILE_BYTES:,} are read."
        raise SpecFileError.at(Place(name), what)
    part = _read_text(decode(data, name), name, f".{name.rpartition('.')[2]}")
    if not part.agents:
        raise SpecFileError.at(Place(name), "No agent is defined here.", "Add one.")
    return part


def _read_text(text: str, file: str, suffix: str) -> SpecSet:
    node = _parse(text, file, suffix.lower())
    if node is None or (not isinstance(node, MapNode) and not text.strip()):
        raise SpecFileError.at(Place(file), "The file is empty.", "Define an agent in it.")
    if not isinstance(node, MapNode):
        place = Place(file, node.line, node.column)
        what = f"The document is {kind(node)}, not a mapping."
        raise SpecStructureError.at(place, what, "Start with 'metadata:'.")
    findings = Findings(file)
    part = _read_root(Reader(node, "", findings))
    if findings.errors:
        raise SeveralSpecErrors.of(findings.errors)
    return attrs.evolve(part, warnings=tuple(findings.warnings))


def _parse(text: str, file: str, suffix: str) -> Node | None:
    if suffix == ".json":
        from toka.orchestration._spec_json import parse_json  # noqa: PLC0415 - one of three

        return parse_json(text, file) if text.strip() else None
    if suffix == ".toml":
        from toka.orchestration._spec_toml import parse_toml  # noqa: PLC0415 - one of three

        return parse_toml(text, file) if text.strip() else None
    from toka.orchestration._spec_yaml import parse_yaml  # noqa: PLC0415 - imports PyYAML

    return parse_yaml(text, file)


def _read_root(root: Reader) -> SpecSet:
    several = root.node.get("agents") is not None
    settings = _settings(root)
    if not several and settings != SpecSettings() and not _defines_agent(root):
        extra = keep_extra(root)
        return SpecSet((), settings=attrs.evolve(settings, extra=extra))
    if not several:
        agent = read_agent(root)
        return SpecSet((agent,), settings=settings, places={agent.name: root.findings.places})
    defaults = _default_security(root)
    agents: list[AgentSpec] = []
    places: dict[str, Mapping[str, Place]] = {}
    for reader in root.blocks("agents"):
        own = Findings(reader.findings.file, reader.findings.errors, reader.findings.warnings)
        reader.findings = own
        agent = read_agent(reader, defaults)
        if agent.name in places:
            what = f"Two agents are called {agent.name!r}."
            own.error(reader.node, reader.path, what, "Rename or remove one.", DuplicateNameError)
        # The places of one agent are known without the prefix that leads to it.
        places[agent.name] = {
            path.removeprefix(f"{reader.path}."): place for path, place in own.places.items()
        }
        agents.append(agent)
    if not agents and not root.findings.errors:
        root.fault("agents", "The list of agents is empty.", "Define at least one.")
    extra = keep_extra(root)
    return SpecSet(tuple(agents), settings=attrs.evolve(settings, extra=extra), places=places)


def _defines_agent(root: Reader) -> bool:
    return any(root.node.get(key) is not None for key in ("metadata", "name", "tasks", "spec"))


def _settings(root: Reader) -> SpecSettings:
    block = root.block("orchestration")
    if block is None:
        return SpecSettings()
    settings = SpecSettings(
        max_concurrent_agents=block.integer("max_concurrent_agents", minimum=1, maximum=10_000),
        agent_spawn_timeout=block.quantity("agent_spawn_timeout", parse_duration),
        workstream_timeout=block.quantity("workstream_timeout", parse_duration),
    )
    if (pool := block.entry("agent_pool_size")) is not None:
        message = "agent_pool_size is not interpreted: agents share one process."
        block.findings.warn(pool, block.at("agent_pool_size"), message)
    block.finish()
    return settings


def _default_security(root: Reader) -> Security:
    """Read the `[security]` table beside several agents: what holds for those that say nothing."""
    block = root.block("security")
    if block is None:
        return Security()
    security = Security(
        sandbox=block.boolean("sandbox_enabled", default=True),
        resource_limits=read_limits(block),
    )
    if (entry := block.entry("capability_validation")) is not None:
        word = block.text("capability_validation")
        if word != "strict":
            message = f"Validation is always strict; {word!r} changes nothing."
            block.findings.warn(entry, block.at("capability_validation"), message)
    block.finish()
    return security


def _duplicates(parts: Iterable[SpecSet]) -> list[SpecError]:
    first: dict[str, Place] = {}
    errors: list[SpecError] = []
    for part in parts:
        for agent in part.agents:
            place = part.place(agent.name)
            if agent.name in first:
                what = f"The agent {agent.name!r} is also defined at {first[agent.name]}."
                errors.append(DuplicateNameError.at(place, what, "Rename or remove one."))
            first.setdefault(agent.name, place)
    return errors


def _conflicts(parts: Iterable[SpecSet]) -> list[SpecError]:
    first: dict[str, tuple[object, Path]] = {}
    errors: list[SpecError] = []
    for part in parts:
        for name, value in _said(part.settings).items():
            known, file = first.setdefault(name, (value, part.files[0]))
            if known != value:
                place = Place(str(part.files[0]), path=name)
                what = f"The value differs from the one in {file}."
                errors.append(SpecStructureError.at(place, what, "Keep one of them."))
    return errors


def _said(settings: SpecSettings) -> dict[str, object]:
    """Return what a document sets, by path."""
    named: dict[str, object] = {
        f"orchestration.{name}": value
        for name in _SETTINGS
        if (value := getattr(settings, name)) is not None
    }
    return named | dict(as_object(settings.extra))


def _join(parts: list[SpecSet], path: Path) -> SpecSet:
    if len(parts) == 1 and parts[0].agents:
        return parts[0]
    agents = tuple([agent for part in parts for agent in part.agents])
    if not agents:
        raise SpecFileError.at(Place(str(path)), "No agent is defined here.", "Add one.")
    if len(agents) > MAX_AGENTS:
        what = f"There are {len(agents)} agents; at most {MAX_AGENTS} are accepted."
        raise SpecFileError.at(Place(str(path)), what)
    settings = SpecSettings()
    extra: dict[str, object] = {}
    for part in parts:
        own = {name: getattr(part.settings, name) for name in _SETTINGS}
        said = {name: value for name, value in own.items() if value is not None}
        settings = attrs.evolve(settings, **said)
        extra |= as_object(part.settings.extra)
    return SpecSet(
        agents=agents,
        warnings=tuple([warning for part in parts for warning in part.warnings]),
        settings=attrs.evolve(settings, extra=msgspec.Raw(msgspec.json.encode(extra))),
        files=tuple([file for part in parts for file in part.files]),
        places={name: places for part in parts for name, places in part.places.items()},
    )
