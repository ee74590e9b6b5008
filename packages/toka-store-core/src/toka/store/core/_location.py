"""The part of a store's address after the scheme: a place and options, `PLACE?name=value`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from toka.store.core._errors import OpenRefused

if TYPE_CHECKING:
    from collections.abc import Collection


def split_location(location: str, options: Collection[str] = ()) -> tuple[str, dict[str, str]]:
    """Return the place and the options of a location.

    Args:
        location: What follows the scheme and its colon.
        options: The names that the backend knows.

    Raises:
        OpenRefused: An option is unknown, given twice, or has no value.
    """
    place, mark, query = location.partition("?")
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in options:
            raise _bad_option(location, f"the option {name!r} is unknown", options)
        if name in found or not value:
            raise _bad_option(location, f"the option {name!r} has not one value", options)
        found[name] = value
    if mark and not found:
        raise _bad_option(location, "there is no option after '?'", options)
    return place, found


def _bad_option(location: str, what: str, options: Collection[str]) -> OpenRefused:
    known = ", ".join(sorted(options)) or "none"
    return OpenRefused(
        f"The address {location!r} cannot be used: {what}.",
        code="store.invalid_location",
        hint=f"Known options: {known}.",
        details={"location": location},
    )
