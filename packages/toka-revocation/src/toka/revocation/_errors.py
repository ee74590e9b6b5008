"""Errors of toka.revocation.

    TokaError
    └── RevocationError
        ├── InvalidRevocationError     what is to be taken back is not named properly
        ├── RevocationUnavailable      the log cannot be read or written now; answers are "no"
        ├── RevocationsRolledBack      the log is older than what was already seen of it
        └── StatusListError            a status list, or its signature, cannot be accepted

That a token was taken back is no error: it is a `Denial`.
"""

from __future__ import annotations

from toka.types import TokaError


class RevocationError(TokaError):
    """The base of this distribution's errors."""

    default_code = "revocation.error"


class InvalidRevocationError(RevocationError, ValueError):
    """A name is not in its one spelling, or a time is out of range; nothing was taken back."""

    default_code = "revocation.invalid"


class RevocationUnavailable(RevocationError):
    """The log did not answer. Whether something was written is not known; ask again."""

    default_code = "revocation.unavailable"


class RevocationsRolledBack(RevocationError):
    """The log lost revocations that were already seen, as after restoring an old backup."""

    default_code = "revocation.rolled_back"


class StatusListError(RevocationError, ValueError):
    """A status list is malformed, over its bounds, out of date, or not signed as it should be."""

    default_code = "revocation.bad_status_list"
