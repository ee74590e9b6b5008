"""The root of every error that Toka raises.

Each distribution derives one base class from `TokaError` and draws its tree at the top of its own
`_errors.py`. A code is stable across releases and is what programs compare; the message is for
people and may be reworded at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.types._json import Json


class TokaError(Exception):
    """Say what was refused, where, and what to do about it.

    Attributes:
        code: Stable dotted name, for example `store.wrong_version`. Class-level; an instance may
            override it where one class carries several codes of a foreign source.
        message: One sentence that a person can act on. Never holds a secret.
        hint: The next thing to try, or an empty string.
        details: The facts as JSON values, for logs and problem documents. Never holds a secret.

    """

    default_code: ClassVar[str] = "toka.error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        details: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.code: str = code if code is not None else self.default_code
        self.message: str = message
        self.hint: str = hint
        self.details: dict[str, Json] = dict(details or {})

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        state = (type(self), self.message, self.code, self.hint, self.details)
        return (_rebuild, state)


def _rebuild(
    kind: type[TokaError], message: str, code: str, hint: str, details: dict[str, Json]
) -> TokaError:
    error = kind.__new__(kind, message)
    TokaError.__init__(error, message, code=code, hint=hint, details=details)
    return error


class InvalidValueError(TokaError, ValueError):
    """A value breaks a rule of the vocabulary: too long, blank, or outside its range."""

    default_code = "types.invalid_value"


class CanonicalEncodingError(TokaError, ValueError):
    """A value has no canonical encoding: a float, text that is not NFC, or an unknown type."""

    default_code = "types.not_canonical"
