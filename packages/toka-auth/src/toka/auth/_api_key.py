"""API keys: for programs that cannot fetch tokens. A secret that its owner shows with each request.

The operator keeps a record with a digest and no secret; 256 random bits need no slow hash. A key
turns into claims that are the same for a whole period, so that whatever remembers a token by its
identifier sees one token a period.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final

import attrs

from toka.auth._jose import refused
from toka.capability.core import Claims, Hop, SteadyTime, check_limits, validate_claims

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.capability.core import TokenValidator
    from toka.types import Clock

PERIOD_SECONDS: Final = 3_600

_SHAPE: Final = re.compile(r"tokakey_([0-9a-f]{16})_([0-9a-f]{64})")


@attrs.frozen
class ApiKeyRecord:
    """What is kept of an API key: enough to recognise it, too little to use it."""

    key_id: str
    digest: str
    """SHA-256 of the secret, in hexadecimal."""
    subject: str
    permissions: tuple[str, ...]
    vault: str = "default"
    untainted: tuple[str, ...] = ()
    expires_at: int | None = None
    """The first second at which the key is no longer valid; never where it is None."""

    @property
    def token_id(self) -> str:
        """What revoking the key names."""
        return f"api-key/{self.key_id}"


def new_api_key(
    subject: str,
    permissions: Iterable[str],
    *,
    vault: str = "default",
    untainted: Iterable[str] = (),
    expires_at: int | None = None,
) -> tuple[str, ApiKeyRecord]:
    """Make an API key: the text for its owner, shown once, and the record to keep.

    Raises:
        InvalidClaimsError: The record could never become claims.
    """
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    record = ApiKeyRecord(
        key_id,
        _digest(secret),
        subject,
        tuple(permissions),
        vault,
        tuple(untainted),
        expires_at,
    )
    check_limits(_claims(record, 0))
    return f"tokakey_{key_id}_{secret}", record


class ApiKeyValidator:
    """Validates API keys by their records."""

    def __init__(self, records: Iterable[ApiKeyRecord], clock: Clock) -> None:
        """Prepare to validate.

        Raises:
            ValueError: Two records have one identifier.
        """
        records = tuple(records)
        self._records = {record.key_id: record for record in records}
        if len(self._records) != len(records):
            raise ValueError("Two API keys have one identifier.")
        self._time = SteadyTime(clock)

    def validate(self, token: str) -> Claims:
        """Return what the owner of the key may do in the current period.

        Raises:
            TokenRefusedError: There is no such key, its secret is another, or it has expired.
        """
        match = _SHAPE.fullmatch(token)
        if match is None:
            raise refused("malformed", "it is no API key")
        record = self._records.get(match[1])
        # An unknown key costs what a known one does, so its identifier cannot be guessed by time.
        known = _digest("") if record is None else record.digest
        if not hmac.compare_digest(known, _digest(match[2])) or record is None:
            raise refused("unknown_key", "there is no such API key")
        now = self._time.seconds()
        claims = _claims(record, now)
        validate_claims(claims, now)
        return claims


def _claims(record: ApiKeyRecord, now: int) -> Claims:
    begin = now - now % PERIOD_SECONDS
    end = begin + PERIOD_SECONDS
    if record.expires_at is not None:
        end = min(end, record.expires_at)
        begin = min(begin, end - 1)
    token_id = f"{record.token_id}/{begin}"
    return Claims(
        subject=record.subject,
        vault=record.vault,
        permissions=record.permissions,
        issued_at=begin,
        expires_at=end,
        token_id=token_id,
        untainted=record.untainted,
        # Revoking the key by its own name takes every period with it.
        chain=(Hop(record.token_id, record.subject), Hop(token_id, record.subject)),
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


if TYPE_CHECKING:
    _implements: type[TokenValidator] = ApiKeyValidator
