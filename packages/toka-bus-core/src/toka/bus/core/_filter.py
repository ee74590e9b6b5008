"""Which items a subscriber wants, as one function, or none where it wants all."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def wanted_items(
    kinds: str,
    stream: str,
    filter: Callable[[T], bool] | None,  # noqa: A002 - as it is called in `subscribe`
) -> Callable[[T], bool] | None:
    """Return a function that says whether an item is wanted; None where all are."""

    def has_kind(item: T) -> bool:
        return getattr(item, "kind", None) == kinds

    def is_below(item: T) -> bool:
        kind: object = getattr(item, "kind", None)
        return isinstance(kind, str) and kind.startswith(kinds)

    def is_of_stream(item: T) -> bool:
        return getattr(item, "stream", None) == stream

    chosen: list[Callable[[T], bool]] = []
    if stream:
        chosen.append(is_of_stream)
    if kinds:
        chosen.append(is_below if kinds.endswith(".") else has_kind)
    if filter is not None:
        chosen.append(filter)
    if len(chosen) > 1:
        return lambda item: all(takes(item) for takes in chosen)
    return chosen[0] if chosen else None
