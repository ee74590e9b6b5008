"""YAML as plain data: one document, no aliases, no key twice, and places in every error."""

from __future__ import annotations

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


def load_yaml(data: bytes | str) -> object:
    """Return the only document of `data`.

    Raises:
        YamlError: It is not YAML, or uses what is not accepted.
    """
    try:
        _check_events(data)
        return cast("object", yaml.load(data, Loader=_Loader))  # noqa: S506 - a kind of SafeLoader
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
