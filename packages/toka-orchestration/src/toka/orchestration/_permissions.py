"""From `security.capabilities_required` to permissions: as narrow as what was written allows.

An entry is a permission, `fs:read:${inputs.target}/**`, or one of the names that the original
Toka used. A name stands for the least that makes sense of it, within the workspace:

    filesystem-read                     fs:read:WORKSPACE/**
    filesystem-write                    fs:write:WORKSPACE/**
    cargo-execution                     proc:run:cargo
    cargo-test-execution                proc:run:cargo
    test-execution                      proc:run:cargo
    git-access                          proc:run:git
    github-api-access                   net:*:https://api.github.com/**
    network-access                      net:get:https://**

Every other name, `admin-privileges` above all, grants nothing and is warned about. A value that an
expression put in stands for itself: a `*` in a directory's name is no wildcard.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

import attrs

from toka.agent_runtime import ExpressionFailed, PlaybookInvalid, Template
from toka.capability.core import Permission, PermissionSyntaxError, quote_resource
from toka.orchestration._errors import SpecExpressionError
from toka.orchestration._place import Place, SpecWarning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.types import AgentSpec, Json, JsonObject

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "filesystem-read": ("fs:read:**",),
    "filesystem-write": ("fs:write:**",),
    "cargo-execution": ("proc:run:cargo",),
    "cargo-test-execution": ("proc:run:cargo",),
    "test-execution": ("proc:run:cargo",),
    "git-access": ("proc:run:git",),
    "github-api-access": ("net:*:https://api.github.com/**",),
    "network-access": ("net:get:https://**",),
}
"""What the original's names stand for; file patterns are relative to the workspace."""

_HINTS: Final[Mapping[str, str]] = {
    "admin-privileges": "nothing grants everything",
    "ci-integration": "name the programs, as in proc:run:make",
    "database-access": "name the file or the host, as in fs:write:data/app.db",
    "network-access-limited": "name the hosts, as in net:get:https://example.org/**",
}
_VARIABLES: Final = frozenset({"agent", "inputs", "run"})
"""What an expression in a permission can see."""
_PREFIX = re.compile(r"([a-z][a-z0-9_]*):([a-z][a-z0-9_]*|\*):")
_FILES: Final = "fs"


@attrs.frozen
class Granted:
    """What a specification asks for, resolved."""

    permissions: tuple[str, ...]
    warnings: tuple[SpecWarning, ...] = ()


@attrs.frozen
class _Piece:
    text: str
    is_expression: bool


def resolve_permissions(
    spec: AgentSpec,
    inputs: JsonObject,
    workspace: Path,
    run: JsonObject = {},  # noqa: B006 - read only
) -> Granted:
    """Return the permissions of an agent, every path absolute and free of links.

    Args:
        spec: The agent.
        inputs: The values of the run.
        workspace: Where relative paths start, and what the original's names are limited to.
        run: What expressions know as `run`: `run.artifacts` above all.

    Raises:
        SpecExpressionError: An entry is no permission, or one of its expressions has no value.
    """
    agent: dict[str, Json] = {"name": spec.name, "domain": spec.role.domain}
    variables: dict[str, Json] = {"inputs": inputs, "agent": agent, "run": run}
    permissions: dict[str, None] = {}
    warnings: list[SpecWarning] = []
    for index, entry in enumerate(spec.security.capabilities_required):
        place = Place(path=f"{spec.name}: security.capabilities_required[{index}]")
        if ":" not in entry:
            warning = name_warning(entry)
            warnings += [SpecWarning(place, warning)] if warning else []
        for pattern in (entry,) if ":" in entry else NAMES.get(entry, ()):
            try:
                permissions[_resolve(pattern, variables, workspace)] = None
            except (PlaybookInvalid, ExpressionFailed, PermissionSyntaxError) as error:
                raise SpecExpressionError.at(place, error.message, error.hint) from error
    return Granted(tuple(permissions), tuple(warnings))


def name_warning(name: str) -> str:
    """Return what to say about an entry that is no permission; empty if it is clear."""
    if name == "network-access":
        return f"{name!r} grants GET from every public host; name the hosts instead."
    if name in NAMES:
        return ""
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.8)
    hint = f"is {near[0]!r} meant" if near else "write a permission, as in fs:read:docs/**"
    return f"{name!r} is vague and grants nothing: {_HINTS.get(name, hint)}."


def check_permission(entry: str) -> None:
    """Check what can be known of a permission before its inputs are.

    Raises:
        PermissionSyntaxError: It does not start with a domain and an action, or is malformed.
        PlaybookInvalid: It holds something that is no expression.
    """
    pieces = list(_pieces(entry))
    _domain(pieces)
    if not any(piece.is_expression for piece in pieces):
        _resolve(entry, {}, Path("/"))


def _resolve(entry: str, variables: dict[str, Json], workspace: Path) -> str:
    pieces = list(_pieces(entry))
    domain, action = _domain(pieces)
    prefix = f"{domain}:{action}:"
    resource = ""
    for number, piece in enumerate(pieces):
        text = piece.text
        if piece.is_expression:
            text = _value(text, variables, is_start=not resource)
        resource += text if number else text.removeprefix(prefix)
    if domain == _FILES and resource:
        resource = _real(resource, workspace)
    permission = f"{prefix}{resource}"
    Permission.parse(permission)
    return permission


def _domain(pieces: list[_Piece]) -> tuple[str, str]:
    match = _PREFIX.match(pieces[0].text)
    if match is None or pieces[0].is_expression:
        raise PermissionSyntaxError(
            f"{pieces[0].text[:80]!r} is not a permission.",
            hint="Write domain:action:resource, as in 'fs:read:${inputs.target}/**'.",
        )
    return match[1], match[2]


def _pieces(entry: str) -> Iterator[_Piece]:
    """Split at expressions. Each ends at the first brace with which it compiles."""
    position = 0
    while (start := entry.find("${", position)) >= 0:
        if start > position:
            yield _Piece(entry[position:start], is_expression=False)
        position = _end_of_expression(entry, start)
        yield _Piece(entry[start + 2 : position - 1], is_expression=True)
    if position < len(entry) or not entry:
        yield _Piece(entry[position:], is_expression=False)


def _end_of_expression(entry: str, start: int) -> int:
    fault = PlaybookInvalid("A ${ has no } that ends it.")
    end = entry.find("}", start)
    while end >= 0:
        try:
            Template.parse_expression(entry[start + 2 : end], _VARIABLES)
        except PlaybookInvalid as error:
            fault = error
            end = entry.find("}", end + 1)
        else:
            return end + 1
    raise fault


def _value(expression: str, variables: dict[str, Json], *, is_start: bool) -> str:
    value = Template.parse_expression(expression, _VARIABLES).render(variables)
    if not isinstance(value, str) or not value:
        raise PermissionSyntaxError(f"${{{expression}}} is no text in a permission, or is empty.")
    # Behind something, a value names what is below it and must not lead out of it.
    if not is_start and ".." in value.split("/"):
        raise PermissionSyntaxError(
            f"${{{expression}}} holds a segment '..' within a path.",
            hint="Give a path that goes down only.",
        )
    return quote_resource(value)


def _real(resource: str, workspace: Path) -> str:
    """Resolve the part of a pattern before its first wildcard to the path it really leads to."""
    segments = resource.split("/")
    fixed = next((i for i, segment in enumerate(segments) if "*" in segment), len(segments))
    base = os.fsdecode(unquote_to_bytes("/".join(segments[:fixed])))
    if not base and resource.startswith("/"):
        base = "/"
    real = quote_resource(os.path.realpath(workspace / base))
    rest = segments[fixed:]
    return "/".join([real.rstrip("/"), *rest]) if rest else real
