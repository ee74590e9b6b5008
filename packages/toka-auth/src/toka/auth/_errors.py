"""Errors of toka.auth.

TokaError
└── AuthError
    ├── AuthenticationError    a credential is not accepted; always the same, whatever the reason
    ├── KeyFileError           a key file cannot be used as it is
    │   └── KeyFileMissing     there is none
    ├── OutsideKeysError       the keys of an outside issuer cannot be fetched or used
    ├── MappingError           a rule of the operator's cannot be applied by anybody
    ├── TakeBackError          a revocation could not be kept
    └── UsedTokensError        the file of used tokens cannot be read or written
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


class OutsideKeysError(AuthError):
    """The keys of an outside issuer cannot be fetched, or are not keys for signatures."""

    default_code = "auth.outside_keys"


class MappingError(AuthError, ValueError):
    """A rule that maps outside identities is not well-formed."""

    default_code = "auth.bad_mapping"


class UsedTokensError(AuthError):
    """The file of used tokens cannot be read or written, so no token that counts once counts."""

    default_code = "auth.used_tokens"


class TakeBackError(AuthError):
    """A revocation may not have been kept, so it must be asked for again."""

    default_code = "auth.not_taken_back"
