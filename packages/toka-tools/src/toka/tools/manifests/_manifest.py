"""Tool manifests in the original's YAML format, read as data.

What is missing or vague is read in the narrowest sense and warned about; what contradicts the
format is refused. Nothing in a manifest runs when it is read.
"""

from __future__ import annotations

import difflib
import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import attrs
import msgspec

from toka.tools._errors import InvalidManifestError
from toka.tools._resource_limits import ResourceLimits
from toka.tools.manifests._units import parse_bytes, parse_duration, parse_percent

if TYPE_CHECKING:
    from toka.types import Json, JsonObject

MAX_MANIFEST_BYTES: Final = 65_536

_PARAMETER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")

SecurityLevel: TypeAlias = Literal["high", "medium", "basic"]


@attrs.frozen
class ManifestMetadata:
    """Who the tool is."""

    name: str
    version: str
    description: str
    category: str = "runtime"
    author: str = ""
    created: str = ""


@attrs.frozen
class Executable:
    """What would be run."""

    type: Literal["python", "shell", "rust"]
    path: str
    interpreter: str | None = None
    working_directory: str = "."


@attrs.frozen
class Capabilities:
    """Names of the original's capabilities."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@attrs.frozen
class SandboxSpec:
    """What the tool may use, as written."""

    memory_limit: str | None = None
    cpu_limit: str | None = None
    timeout: str | None = None
    allow_network: bool = False
    network_restrictions: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    writable_paths: tuple[str, ...] = ()


@attrs.frozen
class SecuritySpec:
    """How the tool is to be confined."""

    level: SecurityLevel = "high"
    sandbox: SandboxSpec = SandboxSpec()


@attrs.frozen
class Parameter:
    """One parameter of the tool."""

    name: str
    type: Literal["string", "enum", "boolean", "array", "integer", "number"]
    description: str = ""
    required: bool | None = None
    default: object = None
    values: tuple[str, ...] = ()


@attrs.frozen
class ManifestSpec:
    """What the tool is and needs."""

    executable: Executable
    capabilities: Capabilities = Capabilities()
    security: SecuritySpec = SecuritySpec()
    parameters: tuple[Parameter, ...] = ()


@attrs.frozen
class Discovery:
    """How the tool is found."""

    auto_discover: bool = False
    patterns: tuple[str, ...] = ()


@attrs.frozen
class Execution:
    """How the tool may be run."""

    hot_swappable: bool = False
    parallel_safe: bool = False
    resource_intensive: bool = False


@attrs.frozen
class Integration:
    """What the tool is meant for."""

    agent_types: tuple[str, ...] = ()
    runtime_events: tuple[str, ...] = ()
    compatible_backends: tuple[str, ...] = ()


@attrs.frozen
class Interface:
    """How the tool fits in."""

    discovery: Discovery = Discovery()
    execution: Execution = Execution()
    integration: Integration = Integration()


@attrs.frozen
class ProtocolEntry:
    """A protocol that the tool can be called by."""

    type: Literal["mcp", "a2a"]
    function_name: str | None = None
    action: str | None = None
    version: str | None = None


@attrs.frozen
class PrimaryOutput:
    """Something that the tool makes."""

    type: str
    formats: tuple[str, ...] = ()
    location: str = ""


@attrs.frozen
class Outputs:
    """All that the tool makes."""

    primary: tuple[PrimaryOutput, ...] = ()
    metrics: tuple[str, ...] = ()


@attrs.frozen
class Dependencies:
    """What must be there for the tool to work."""

    system: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    workspace: tuple[str, ...] = ()


@attrs.frozen
class ToolManifest:
    """A whole manifest."""

    metadata: ManifestMetadata
    spec: ManifestSpec
    interface: Interface = Interface()
    protocols: tuple[ProtocolEntry, ...] = ()
    outputs: Outputs = Outputs()
    dependencies: Dependencies = Dependencies()

    @property
    def limits(self) -> ResourceLimits:
        """The sandbox's limits, in the terms of this distribution."""
        sandbox, usual = self.spec.security.sandbox, ResourceLimits()
        memory, cpu = sandbox.memory_limit, sandbox.cpu_limit
        return attrs.evolve(
            usual,
            max_memory_bytes=usual.max_memory_bytes if memory is None else parse_bytes(memory),
            max_cpu_percent=usual.max_cpu_percent if cpu is None else parse_percent(cpu),
        )

    @property
    def timeout_ns(self) -> int | None:
        """The sandbox's time limit, if it has one."""
        timeout = self.spec.security.sandbox.timeout
        return None if timeout is None else parse_duration(timeout)

    @property
    def parameters(self) -> JsonObject:
        """The parameters as JSON Schema."""
        schemas = {parameter.name: _schema(parameter) for parameter in self.spec.parameters}
        required = [parameter.name for parameter in self.spec.parameters if parameter.required]
        return {
            "type": "object",
            "properties": schemas,
            "required": required,
            "additionalProperties": False,
        }


@attrs.frozen
class LoadedManifest:
    """A manifest and what was vague in it."""

    manifest: ToolManifest
    warnings: tuple[str, ...]
    digest: str = ""
    """SHA-256 of its text, in hexadecimal."""


def _schema(parameter: Parameter) -> JsonObject:
    schema: dict[str, Json] = {"type": parameter.type}
    if parameter.type == "enum":
        schema = {"type": "string", "enum": list(parameter.values)}
    if parameter.description:
        schema["description"] = parameter.description
    if parameter.default is not None:
        schema["default"] = cast("Json", parameter.default)
    return schema


def load_manifest(path: str | Path) -> LoadedManifest:
    """Read a manifest from a file.

    Raises:
        InvalidManifestError: The file cannot be read, or is no manifest.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise InvalidManifestError(f"{path} cannot be read: {error.strerror}.") from error
    return parse_manifest(data, str(path))


def parse_manifest(data: bytes | str, source: str = "manifest") -> LoadedManifest:
    """Read a manifest from YAML text.

    Raises:
        InvalidManifestError: It is too long, not YAML, or no manifest; the message says where.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise InvalidManifestError(f"{source} is longer than {MAX_MANIFEST_BYTES} bytes.")
    document = _load_yaml(data, source)
    if not isinstance(document, dict):
        raise InvalidManifestError(f"{source} holds no mapping with `metadata` and `spec`.")
    unknown = _unknown_keys(cast("dict[object, object]", document), ToolManifest, "$")
    if unknown:
        raise _fault(data, source, *unknown)
    try:
        manifest = msgspec.convert(document, ToolManifest, strict=True)
        _ = (manifest.limits, manifest.timeout_ns)
    except (msgspec.ValidationError, InvalidManifestError) as error:
        raise _fault(data, source, _where(str(error)), str(error).rstrip(".") + ".") from error
    for index, parameter in enumerate(manifest.spec.parameters):
        if not _PARAMETER.fullmatch(parameter.name):
            where = f"$.spec.parameters[{index}].name"
            raise _fault(data, source, where, f"{parameter.name[:40]!r} names no parameter.")
    text = data.encode("utf-8", "replace") if isinstance(data, str) else data
    return LoadedManifest(manifest, tuple(_warnings(manifest)), sha256(text).hexdigest())


def _where(message: str) -> str:
    """Return the path that a message of msgspec ends with; the whole document if it has none."""
    found = re.search(r"`(\$[^`]*)`$", message)
    return found[1] if found else "$"


def _fault(data: bytes | str, source: str, where: str, message: str) -> InvalidManifestError:
    from toka.tools.manifests._yaml_place import place_of  # noqa: PLC0415 - PyYAML is an extra

    line, column = place_of(data, where)
    return InvalidManifestError(
        f"{source}:{line}:{column}: {message}",
        details={"source": source, "line": line, "column": column, "path": where},
    )


def _load_yaml(data: bytes | str, source: str) -> object:
    from toka.tools.manifests._yaml import YamlError, load_yaml  # noqa: PLC0415 - PyYAML is an extra

    try:
        return load_yaml(data)
    except YamlError as error:
        raise InvalidManifestError(f"{source}{error}") from error


def _unknown_keys(value: object, kind: type, where: str) -> tuple[str, str] | None:
    """Return where the first key is that the format does not have, and a sentence about it."""
    if not isinstance(value, dict):
        return None
    fields = {field.name: field.type for field in attrs.fields(attrs.resolve_types(kind))}
    for key, item in cast("dict[str, object]", value).items():
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, 1)
            known = f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(fields)}."
            return f"{where}.{key}", f"{where} has the unknown key {key!r}. {known}"
        found = _unknown_inside(item, fields[key], f"{where}.{key}")
        if found:
            return found
    return None


def _unknown_inside(value: object, kind: object, where: str) -> tuple[str, str] | None:
    if isinstance(kind, type) and attrs.has(kind):
        return _unknown_keys(value, kind, where)
    (inner, *_) = getattr(kind, "__args__", ()) or (None,)
    if isinstance(value, list) and isinstance(inner, type) and attrs.has(inner):
        for index, item in enumerate(cast("list[object]", value)):
            found = _unknown_keys(item, inner, f"{where}[{index}]")
            if found:
                return found
    return None


def _warnings(manifest: ToolManifest) -> list[str]:
    found: list[str] = []
    for parameter in manifest.spec.parameters:
        if parameter.required is None and parameter.default is None:
            found.append(f"Parameter {parameter.name} is taken as optional: it does not say.")
        if parameter.type == "array":
            found.append(f"Parameter {parameter.name} does not say what its items are.")
    found.extend(
        f"The protocol {entry.type} has no version; any is taken."
        for entry in manifest.protocols
        if entry.version is None
    )
    sandbox = manifest.spec.security.sandbox
    if sandbox.allow_network and not sandbox.network_restrictions:
        found.append("The network is allowed without saying which hosts.")
    if sandbox.network_restrictions:
        found.append(
            "Its calls are refused: no sandbox here keeps a program to the hosts that"
            " network_restrictions names."
            if sandbox.allow_network
            else "It names hosts in network_restrictions, and is allowed no network."
        )
    declared = {*manifest.spec.capabilities.required, *manifest.spec.capabilities.optional}
    for used, capability in (
        (sandbox.allow_network, "network-access"),
        (sandbox.writable_paths, "filesystem-write"),
    ):
        if used and capability not in declared:
            found.append(
                f"The sandbox opens what the capability {capability} is for; it is not named."
            )
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", manifest.metadata.created):
        found.append("The date of creation is missing or not written as year-month-day.")
    return found
