"""What a call of a guest can end in, besides the errors that every tool has.

ToolError
└── GuestFailedError   tools.guest_failed   it trapped, ran out of fuel, said no, or no JSON
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toka.cvm import (
    AuthorityLostError,
    CvmError,
    DeadlineError,
    GuestEndedError,
    ImportRefusedError,
    InvalidModuleError,
)
from toka.tools._errors import AccessDeniedError, InvalidToolError, ToolError, ToolTimeoutError

if TYPE_CHECKING:
    from toka.types import Json


class GuestFailedError(ToolError):
    """The guest came to no result. `details["code"]` says how, as the machine names it."""

    default_code: ClassVar[str] = "tools.guest_failed"


def failure_of(error: CvmError, name: str) -> ToolError:
    """Return the error of this distribution for one of the machine."""
    details: dict[str, Json] = {"tool": name, "code": error.code, **error.details}
    text = f"{name}: {error.message}"
    if isinstance(error, DeadlineError):
        return ToolTimeoutError(text, hint="Ask for less, or for more time.", details=details)
    if isinstance(error, (AuthorityLostError, ImportRefusedError)):
        return AccessDeniedError(text, hint=error.hint, details=details)
    if isinstance(error, InvalidModuleError):
        return InvalidToolError(text, hint=error.hint, details=details)
    hint = error.hint if isinstance(error, GuestEndedError) else ""
    return GuestFailedError(text, hint=hint, details=details)
