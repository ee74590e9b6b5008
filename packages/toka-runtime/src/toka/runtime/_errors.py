"""Errors of the runtime.

RuntimeHostError
├── Rejected             the kernel said no; nothing was changed
├── Overloaded           too many submissions wait for the log; try again later
├── LogFailed            the log cannot be written; nothing is acknowledged until it is reopened
├── RuntimeClosed        the runtime was closed
└── LogDamaged           replay found something that this log cannot have come from
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.types import TokaError

if TYPE_CHECKING:
    from toka.kernel import Rejection


class RuntimeHostError(TokaError):
    """Base of every error of this distribution."""

    default_code = "runtime.error"


class Rejected(RuntimeHostError):
    """The kernel refused an operation; the code is the rejection's own.

    Attributes:
        rejection: What the kernel answered, with the permission that would have been needed.
    """

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.message, code=rejection.code, details=rejection.details)
        self.rejection = rejection

    def __reduce__(self) -> tuple[object, ...]:
        return (Rejected, (self.rejection,))


class Overloaded(RuntimeHostError):
    """Too many submissions wait for the log."""

    default_code = "runtime.overloaded"


class LogFailed(RuntimeHostError):
    """The log could not be written."""

    default_code = "runtime.log_failed"


class RuntimeClosed(RuntimeHostError):
    """The runtime was closed."""

    default_code = "runtime.closed"


class LogDamaged(RuntimeHostError):
    """The log holds something that no kernel decided."""

    default_code = "runtime.log_damaged"
