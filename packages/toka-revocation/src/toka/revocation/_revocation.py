"""What was taken back: one value for every kind, and the one spelling of names."""

from __future__ import annotations

import enum
import re
import unicodedata
from typing import Final

import attrs

from toka.capability.core import MAX_LEEWAY_SECONDS, MAX_NAME_BYTES, MAX_TIME
from toka.revocation._errors import InvalidRevocationError
from toka.types import MAX_TOKEN_LIFETIME_SECONDS

NEVER: Final = 2 * MAX_TIME
"""When a revocation may be forgotten that must not be: later than any token can expire."""
MARGIN_SECONDS: Final = 2 * MAX_LEEWAY_SECONDS
"""How long after the last expiry a revocation is kept: the clocks of issuer, validator and purger
may all differ, each by its leeway."""

_UUID: Final = re.compile(
    r"(?:urn:uuid:|\{)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?",
    re.IGNORECASE | re.ASCII,
)
_UUID_LENGTHS: Final = frozenset({32, 36, 38, 45})


class Kind(enum.Enum):
    """What a revocation names."""

    TOKEN = "token"  # noqa: S105 - no secret
    """A token or a hop of a delegated one; whatever was narrowed from it falls too."""
    SUBJECT = "subject"
    """All tokens of a subject in a vault, up to a time; in a chain, of anybody in it."""
    KEY = "key"
    """All tokens that a key signed, up to a time or for ever."""
    EVERYTHING = "everything"
    """All tokens there are, up to a time."""


@attrs.frozen
class Revocation:
    """One thing that was taken back. Make it by a class method; they check.

    Revoking again only ever takes more back: of two times the later holds.
    """

    kind: Kind
    target: str
    vault: str = ""
    until: int | None = None
    """Tokens issued up to this second, itself included; None for all, whenever issued."""
    expires_at: int | None = None
    """When the last token that this names expires; None where nobody knows."""
    reason: str = ""
    """For people. Never a secret, nor a token."""

    @classmethod
    def of_token(
        cls, token_id: str, *, expires_at: int | None = None, reason: str = ""
    ) -> Revocation:
        """Take back a token, or a hop of a delegated one with all that is behind it.

        Args:
            token_id: Its `jti`. The spellings of a UUID are one.
            expires_at: Its expiry, or that of the last token that has this name. The revocation is
                forgotten some time after it, and never before a token of Toka's would have expired.
                If left out it is kept for ever: by its name alone an API key looks like a token.
            reason: For people.

        Raises:
            InvalidRevocationError: The identifier or the time is malformed.
        """
        return cls(Kind.TOKEN, canonical_id(token_id), "", None, _time(expires_at), _text(reason))

    @classmethod
    def of_subject(
        cls, vault: str, subject: str, *, issued_until: int, reason: str = ""
    ) -> Revocation:
        """Take back the tokens of a subject that were issued up to a second, itself included.

        Raises:
            InvalidRevocationError: A name or the time is malformed.
        """
        until = _time(issued_until)
        return cls(Kind.SUBJECT, _name(subject), _name(vault), until, None, _text(reason))

    @classmethod
    def of_key(cls, kid: str, *, issued_until: int | None = None, reason: str = "") -> Revocation:
        """Take back the tokens that a key signed, up to a second or for ever.

        Raises:
            InvalidRevocationError: The key's name or the time is malformed.
        """
        return cls(Kind.KEY, _name(kid), "", _time(issued_until), None, _text(reason))

    @classmethod
    def of_everything(cls, *, issued_until: int, reason: str = "") -> Revocation:
        """Take back every token that was issued up to a second, itself included.

        Raises:
            InvalidRevocationError: The time is malformed.
        """
        return cls(Kind.EVERYTHING, "*", "", _time(issued_until), None, _text(reason))

    def forgettable_at(self, revoked_at: int) -> int:
        """Return the first second at which no token that this concerns can be valid any more.

        Args:
            revoked_at: When it was taken back. What has this identifier was issued before.
        """
        if self.kind is Kind.TOKEN and self.expires_at is not None:
            last = revoked_at + MAX_TOKEN_LIFETIME_SECONDS
            return max(last, self.expires_at) + MARGIN_SECONDS
        if self.until is None:
            return NEVER
        return self.until + MAX_TOKEN_LIFETIME_SECONDS + MARGIN_SECONDS


def canonical_id(text: object) -> str:
    """Return the one spelling of a token's identifier.

    A UUID is spelled in lower case with hyphens. Any other stays as it is: identifiers that differ
    by case are different.

    Raises:
        InvalidRevocationError: It is not text, blank, too long, or not in one Unicode form.
    """
    name = _name(text)
    if len(name) in _UUID_LENGTHS and (match := _UUID.fullmatch(name)):
        return "-".join(match.groups()).lower()
    return name


def _name(text: object) -> str:
    if not isinstance(text, str):
        raise InvalidRevocationError(f"A name is text, not {type(text).__name__}.")
    if not text.strip() or len(text.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise InvalidRevocationError(f"A name is blank or over {MAX_NAME_BYTES} bytes.")
    if not text.isprintable() or text != text.strip():
        raise InvalidRevocationError("A name holds an invisible character, or a space at an end.")
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise InvalidRevocationError("A name is not in Unicode normalisation form C.")
    return text


def _time(seconds: int | None) -> int | None:
    if seconds is not None and (type(seconds) is not int or not 0 <= seconds <= MAX_TIME):
        raise InvalidRevocationError("A time is no whole number of seconds up to the year 9999.")
    return seconds


def _text(reason: str) -> str:
    return reason if not reason else _name(reason)
