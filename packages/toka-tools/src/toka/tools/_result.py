"""What a call gives back, as a value that can be recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.tools._errors import ToolError

if TYPE_CHECKING:
    from toka.types import Json, JsonObject, TokaError


@attrs.frozen
class ToolFailure:
    """Why a call failed, in the terms of the error that it raised."""

    code: str
    message: str
    details: JsonObject = attrs.field(factory=dict[str, "Json"])
    transient: bool = False
    """The same call may succeed later without anybody changing anything."""


@attrs.frozen
class ToolResult:
    """The outcome of one call: a value, or for the record of a failed one, a failure.

    `Tool.call` returns results that are `ok` and raises `ToolError` for the rest; whoever records
    outcomes turns the error into a result with `failed`.
    """

    value: Json = None
    error: ToolFailure | None = None
    truncated: bool = False
    """The value is incomplete because a limit was reached; the value says how."""
    duration_ns: int = 0

    def __attrs_post_init__(self) -> None:
        if self.error is not None and self.value is not None:
            raise ValueError("A result is a value or an error, never both.")

    @property
    def ok(self) -> bool:
        """Whether the call came to its end."""
        return self.error is None

    @classmethod
    def failed(cls, error: TokaError, duration_ns: int = 0) -> ToolResult:
        """Return the record of a call that raised `error`."""
        transient = isinstance(error, ToolError) and error.transient
        failure = ToolFailure(error.code, str(error), error.details, transient)
        return cls(error=failure, duration_ns=duration_ns)
