"""Errors of toka.auth.

TokaError
└── AuthError
    ├── AuthenticationError    a credential is not accepted; always the same, whatever the reason
    └── KeyFileError           a key file cannot be used as it is
        └── KeyFileMissing     there is none
"""

from __future__ import annotations

from toka.types import TokaError


class AuthError(TokaError):
    """The base of this distribution's errors."""

    default_code = "auth.error"


class AuthenticationError(AuthError):
    """A credential is not accepted.

    Every instance is equal to every other in code, message and details, and none is chained to
    its reason: whoever probes learns nothing. The audit is told the reason.
    """

    default_code = "auth.denied"

    def __init__(self) -> None:
        super().__init__("The credential is not accepted.", hint="Ask for a new one.")


class KeyFileError(AuthError):
    """A key file is damaged, or somebody else could have read or written it."""

    default_code = "auth.bad_key_file"


class KeyFileMissing(KeyFileError):
    """There is no key file at the path."""

    default_code = "auth.no_key_file"
