"""A document's node to an `AgentSpec`, block by block.

Two dialects are one here: blocks `metadata` and `spec` (YAML of the original), or their keys
directly in the root (`agents.toml` of the original). A block that nothing here asks for is kept.
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Final

import msgspec

from toka.agent_runtime import (
    STANDARD_NAMES,
    PlaybookInvalid,
    Template,
    parse_bytes,
    parse_cpu,
    parse_duration,
)
from toka.capability.core import PermissionSyntaxError
from toka.orchestration._errors import (
    DuplicateNameError,
    SpecExpressionError,
    UnknownKeyError,
)
from toka.orchestration._permissions import check_permission, name_warning
from toka.orchestration._spec_node import ListNode, ScalarNode, lenient
from toka.orchestration._spec_reader import (
    Reader,
    is_identifier,
    read_mapping,
    read_mappings,
    read_pairs,
    read_text,
)
from toka.orchestration._spec_tasks import read_budget, read_entry, read_model, read_tasks
from toka.types import (
    EMPTY_OBJECT,
    MAX_PERMISSIONS,
    NULL,
    PRIORITIES,
    AgentSpec,
    Capabilities,
    Dependencies,
    Dependency,
    InputDefinition,
    InvalidValueError,
    Json,
    Metadata,
    Metric,
    Objective,
    Reporting,
    ResourceLimits,
    RestartPolicy,
    Role,
    Security,
    check_agent_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.orchestration._spec_node import Entry
    from toka.types import InputKind, RestartWhen

AGENT_BLOCKS: Final = frozenset(
    {
        "capabilities",
        "dependencies",
        "inputs",
        "metadata",
        "objectives",
        "reporting",
        "restart",
        "security",
        "spec",
        "tasks",
    }
)
"""Blocks that a misspelt key of the root is taken for, if it is near enough."""

_TOLD: Final = frozenset({"behavioral_directives"})
"""Blocks that are kept as they are and told to models as instructions."""

_RESTARTS: Final[tuple[RestartWhen, ...]] = ("never", "on_failure", "always")
_KINDS: Final[tuple[InputKind, ...]] = ("text", "path", "integer", "number", "boolean")
_NAME_HINT: Final = "Name the agent: letters, digits, '.', '_' and '-'."


def read_agent(root: Reader, defaults: Security = Security()) -> AgentSpec:  # noqa: B008 - frozen
    """Return the agent that `root` defines; faults are in its findings."""
    metadata = _metadata(root)
    spec = AgentSpec(
        metadata=metadata,
        role=_role(root),
        capabilities=_capabilities(root),
        objectives=tuple(_objectives(root)),
        tasks=read_tasks(root),
        dependencies=_dependencies(root),
        reporting=_reporting(root),
        security=_security(root, defaults),
        inputs=tuple(_inputs(root)),
        entry=read_entry(root),
        model=read_model(root),
        budget=read_budget(root),
        restart=_restart(root),
        extra=keep_extra(root),
    )
    _warn_of_words(root, spec)
    return spec


def _metadata(root: Reader) -> Metadata:
    block = root.block("metadata")
    reader = block or root
    name = reader.text("name", required=_NAME_HINT)
    if name:
        try:
            check_agent_name(name)
        except InvalidValueError as error:
            reader.fault("name", error.message, error.hint)
    entry = reader.node.get("name")
    root.findings.place(entry or reader.node, reader.at("name"))
    metadata = Metadata(
        name=name,
        version=reader.text("version", as_written=True),
        created=reader.text("created", as_written=True),
        workstream=reader.text("workstream"),
        branch=reader.text("branch"),
        modified="" if block is None else block.text("modified", as_written=True),
        schema_version="" if block is None else block.text("schema_version", as_written=True),
        checksum="" if block is None else block.text("checksum", as_written=True),
    )
    if block is not None:
        block.finish()
    return metadata


def _role(root: Reader) -> Role:
    block = root.block("spec")
    if block is None and root.node.get("metadata") is not None:
        return Role()
    reader = block or root
    role = Role(
        name=reader.text("name"),
        domain=reader.text("domain"),
        priority=reader.choice("priority", PRIORITIES, "medium"),
        description=reader.text("description"),
    )
    if block is not None:
        block.finish()
    return role


def _capabilities(root: Reader) -> Capabilities:
    block = root.block("capabilities")
    if block is None:
        return Capabilities()
    capabilities = Capabilities(block.texts("primary"), block.texts("secondary"))
    block.finish()
    return capabilities


def _objectives(root: Reader) -> Iterator[Objective]:
    for reader in root.blocks("objectives"):
        yield Objective(
            description=reader.text("description", required="Say what is to be reached."),
            deliverable=reader.text("deliverable"),
            validation=reader.text("validation"),
            priority=reader.choice("priority", PRIORITIES, "medium"),
            check=_check(reader),
        )
        reader.finish()


def _check(reader: Reader) -> str:
    text = reader.text("check")
    try:
        if text:
            Template.parse_expression(text, STANDARD_NAMES)
    except PlaybookInvalid as error:
        node = reader.node.get("check")
        path = reader.at("check")
        reader.findings.error(node, path, error.message, error.hint, SpecExpressionError)
    return text


def _dependencies(root: Reader) -> Dependencies:
    block = root.block("dependencies")
    if block is None:
        return Dependencies()
    dependencies = Dependencies(
        required=tuple(_waits(block, "required")), optional=tuple(_waits(block, "optional"))
    )
    block.finish()
    return dependencies


def _waits(block: Reader, key: str) -> Iterator[Dependency]:
    entry = block.entry(key)
    if entry is None:
        return
    node = entry.value
    if isinstance(node, ListNode) and all(isinstance(item, ScalarNode) for item in node.items):
        for index, item in enumerate(node.items):
            path = f"{block.at(key)}[{index}]"
            name = read_text(item, path, block.findings)
            block.findings.remember(f"{key}:{name}", item, path)
            yield Dependency(name)
        return
    for name, wait, path in read_pairs(node, block.at(key), block.findings):
        block.findings.remember(f"{key}:{name}", wait, path)
        yield Dependency(name, _text_or_nothing(wait, path, block))


def _text_or_nothing(entry: Entry, path: str, reader: Reader) -> str:
    empty = isinstance(entry.value, ScalarNode) and entry.value.value is None
    return "" if empty else read_text(entry.value, path, reader.findings)


def _reporting(root: Reader) -> Reporting:
    block = root.block("reporting")
    if block is None:
        return Reporting()
    reporting = Reporting(
        frequency=block.text("frequency"),
        channels=block.texts("channels"),
        metrics=tuple(_metrics(block)),
    )
    block.finish()
    return reporting


def _metrics(block: Reader) -> Iterator[Metric]:
    entry = block.entry("metrics")
    if entry is None:
        return
    path = block.at("metrics")
    if not isinstance(entry.value, ListNode):
        for name, pair, where in read_pairs(entry.value, path, block.findings):
            yield Metric(name, _text_or_nothing(pair, where, block))
        return
    for reader in read_mappings(entry.value, path, block.findings):
        if reader.node.get("name") is None and len(reader.node.entries) == 1:
            pair = reader.node.entries[0]
            yield Metric(pair.key, _text_or_nothing(pair, reader.at(pair.key), block))
            continue
        yield Metric(
            name=reader.text("name", required="Name the metric."),
            description=reader.text("description"),
            kind=reader.text("type"),
            unit=reader.text("unit"),
        )
        reader.finish()


def _security(root: Reader, defaults: Security) -> Security:
    block = root.block("security")
    if block is None:
        return defaults
    security = Security(
        sandbox=block.boolean("sandbox", default=defaults.sandbox),
        capabilities_required=block.texts("capabilities_required"),
        resource_limits=read_limits(block, defaults.resource_limits),
    )
    for index, text in enumerate(security.capabilities_required):
        _check_capability(block, index, text)
    if len(security.capabilities_required) > MAX_PERMISSIONS:
        what = f"There are more than {MAX_PERMISSIONS} permissions."
        block.fault("capabilities_required", what, "Use patterns, or split the agent.")
    block.finish()
    return security


def _check_capability(block: Reader, index: int, text: str) -> None:
    entry = block.node.get("capabilities_required")
    if entry is None or not text:
        return
    path = f"{block.at(entry.key)}[{index}]"
    node = entry.value.items[index] if isinstance(entry.value, ListNode) else entry.value
    if ":" not in text:
        warning = name_warning(text)
        if warning:
            block.findings.warn(node, path, warning)
        return
    try:
        check_permission(text)
    except (PermissionSyntaxError, PlaybookInvalid) as error:
        block.findings.error(node, path, error.message, error.hint, SpecExpressionError)


def read_limits(
    security: Reader,
    defaults: ResourceLimits = ResourceLimits(),  # noqa: B008 - frozen
) -> ResourceLimits:
    """Return what an agent may use of the machine."""
    block = security.block("resource_limits")
    if block is None:
        return defaults
    limits = ResourceLimits(
        max_memory=block.quantity("max_memory", parse_bytes) or defaults.max_memory,
        max_cpu=block.quantity("max_cpu", _thousandths) or defaults.max_cpu,
        timeout=block.quantity("timeout", parse_duration) or defaults.timeout,
        max_disk_usage=block.quantity("max_disk_usage", parse_bytes) or defaults.max_disk_usage,
        max_network_bandwidth=block.text("max_network_bandwidth", as_written=True),
    )
    for key in ("max_disk_usage", "max_network_bandwidth"):
        if (entry := block.node.get(key)) is not None:
            block.findings.warn(entry, block.at(key), f"{key} is recorded, not enforced.")
    block.finish()
    return limits


def _thousandths(text: str) -> int:
    return math.ceil(parse_cpu(text) * 1_000)


def _inputs(root: Reader) -> Iterator[InputDefinition]:
    entry = root.entry("inputs")
    if entry is None:
        return
    if isinstance(entry.value, ListNode):
        seen: set[str] = set()
        for reader in read_mappings(entry.value, root.at("inputs"), root.findings):
            name = reader.text("name", required="Name the input.")
            if name in seen:
                what = f"The input {name!r} is declared twice."
                root.findings.error(reader.node, reader.path, what, "Keep one.", DuplicateNameError)
            seen.add(name)
            yield _input(reader, name)
        return
    block = read_mapping(entry.value, root.at("inputs"), root.findings)
    for pair in block.node.entries if block else ():
        yield _input_of_pair(root, pair)


def _input_of_pair(root: Reader, pair: Entry) -> InputDefinition:
    path = f"{root.at('inputs')}.{pair.key}"
    if isinstance(pair.value, ScalarNode):
        # `target: .` is short for `target: {default: .}`; without a value the input is required.
        default = _json(lenient(pair.value))
        return InputDefinition(pair.key, default=default, required=pair.value.value is None)
    reader = read_mapping(pair.value, path, root.findings)
    return InputDefinition(pair.key) if reader is None else _input(reader, pair.key)


def _input(reader: Reader, name: str) -> InputDefinition:
    if name and not is_identifier(name):
        what = f"{name!r} cannot name an input."
        reader.findings.error(reader.node, reader.path, what, "Use letters, digits and '_'.")
    default = reader.entry("default")
    definition = InputDefinition(
        name=name,
        description=reader.text("description"),
        kind=reader.choice("type", _KINDS, "text"),
        required=reader.boolean("required", default=False),
        default=NULL if default is None else _json(lenient(default.value)),
    )
    if definition.required and default is not None:
        reader.fault("default", "An input that is required needs no default.", "Remove one.")
    reader.finish()
    return definition


def _restart(root: Reader) -> RestartPolicy:
    entry = root.entry("restart")
    if entry is None:
        return RestartPolicy()
    if isinstance(entry.value, ScalarNode):
        return RestartPolicy(root.choice("restart", _RESTARTS, "never"))
    block = read_mapping(entry.value, root.at("restart"), root.findings)
    if block is None:
        return RestartPolicy()
    base = RestartPolicy()
    within = block.quantity("within", parse_duration)
    limit = block.integer("max_restarts", maximum=10_000)
    policy = RestartPolicy(
        when=block.choice("policy", _RESTARTS, "on_failure"),
        max_restarts=base.max_restarts if limit is None else limit,
        within=within or base.within,
    )
    block.finish()
    return policy


def keep_extra(root: Reader) -> msgspec.Raw:
    """Return what nobody asked for, with a warning for each; a slip of the pen is a fault."""
    kept: dict[str, Json] = {}
    likely = sorted(AGENT_BLOCKS - {entry.key for entry in root.node.entries})
    for entry in root.unasked():
        path = root.at(entry.key)
        near = difflib.get_close_matches(entry.key, likely, n=1, cutoff=0.8)
        if near:
            what = f"The block {entry.key!r} is not known."
            hint = f"Did you mean {near[0]!r}? If not, start its name with 'x-'."
            root.findings.error(entry, path, what, hint, UnknownKeyError)
            continue
        if not entry.key.startswith("x-") and entry.key not in _TOLD:
            root.findings.warn(entry, path, f"The block {entry.key!r} is kept, not interpreted.")
        kept[entry.key] = lenient(entry.value)
    return _json(kept) if kept else EMPTY_OBJECT


def _json(value: Json) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _warn_of_words(root: Reader, spec: AgentSpec) -> None:
    words = sum(1 for each in spec.objectives if each.validation and not each.check)
    if words:
        message = (
            f"{words} of {len(spec.objectives)} objectives say only in words how they are"
            " validated; without a `check` they are met when all tasks completed."
        )
        root.findings.warn(root.node.get("objectives"), root.at("objectives"), message)
