"""YAML as plain data: one document, no aliases, no key twice, and places in every error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol, cast

import yaml

if TYPE_CHECKING:
    from collections.abc import Hashable


MAX_DEPTH: Final = 32


class _Mark(Protocol):
    """A place in a text, counted from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class YamlError(ValueError):
    """The text is not YAML that is accepted; begins with `:line:column`."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML readers silently take the last."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[object] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise YamlError(
                    f"{_place(key.start_mark)}: the key {key.value!r} stands here twice."
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_CORE: Final = (
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", [*"tTfF"]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)$", [*"-+0123456789"]),
    (
        "float",
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$",
        [*"-+.0123456789"],
    ),
)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, form, firsts in _CORE:
        for first in firsts:
            found.setdefault(first, []).append((f"tag:yaml.org,2002:{tag}", re.compile(form)))
    return found


class _CoreLoader(_Loader):
    """Reads the core schema of YAML 1.2: `no`, `12:30` and `2026-01-01` are text there."""

    yaml_implicit_resolvers = _resolvers()


def load_yaml(data: bytes | str, *, core: bool = False) -> object:
    """Return the only document of `data`.

    Args:
        data: The text.
        core: By the core schema of YAML 1.2, as OpenAPI wants it, instead of YAML 1.1.

    Raises:
        YamlError: It is not YAML, or uses what is not accepted.
    """
    try:
        _check_events(data)
        loader = _CoreLoader if core else _Loader
        return cast("object", yaml.load(data, Loader=loader))  # noqa: S506 - a kind of SafeLoader
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"{_place(error.problem_mark)}: {error.problem}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(f": not YAML: {str(error).splitlines()[0][:200]}.") from error


def _check_events(data: bytes | str) -> None:
    depth = 0
    for event in yaml.parse(data, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        # A few aliases of aliases are a gigabyte ("billion laughs"), and the time for brackets in
        # brackets grows with the square of their depth; data has no need of either.
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"{_place(event.start_mark)}: aliases are not accepted.")
        if depth > MAX_DEPTH:
            raise YamlError(f"{_place(event.start_mark)}: nested deeper than {MAX_DEPTH} levels.")


def _place(mark: _Mark | None) -> str:
    return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
