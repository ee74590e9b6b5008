"""JSON as a type: what a tool takes and returns, and what an error carries as facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
"""Any JSON value, for reading: nested containers are read-only to the type checker."""

JsonObject: TypeAlias = Mapping[str, Json]
"""A JSON object."""
