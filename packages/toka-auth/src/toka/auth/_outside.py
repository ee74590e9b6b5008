"""Identities of others: tokens of OpenID Connect issuers, and what the operator lets them do.

An outside token says who somebody is, never what he may do here; that is the operator's to say, by
rules. Keys come from the issuer's discovery document (OpenID Connect Discovery 1.0, section 4) and
are kept; an unknown key's name makes them be fetched again, but at most once in a cooldown, or
strangers could make us flood the issuer.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
import attrs

from toka.auth._errors import MappingError, OutsideKeysError
from toka.auth._fetch import check_url
from toka.auth._jose import CompactJws, PublicKey, refused
from toka.capability.core import (
    MAX_TIME,
    Claims,
    SteadyTime,
    TokenRefusedError,
    check_limits,
    encode_base64url,
    strict_json,
    validate_claims,
)
from toka.types import MAX_TOKEN_BYTES, MAX_TOKEN_LIFETIME_SECONDS, NANOSECONDS

if TYPE_CHECKING:
    from toka.auth._fetch import Fetch
    from toka.auth._presented import PreparingValidator
    from toka.types import Clock, Json, JsonObject

COOLDOWN_SECONDS: Final = 30
"""How long an unknown key's name waits for the next look at the issuer's keys."""
MAX_AGE_SECONDS: Final = 600
"""How long keys are used without looking again."""
MAX_STALE_SECONDS: Final = 3_600
"""How long keys are used while the issuer cannot be reached."""
MAX_KEYS: Final = 64

_log = logging.getLogger("toka.auth")

_TYPES: Final = frozenset({"JWT", "jwt", "at+jwt", "application/at+jwt"})
_LEEWAY: Final = 30


@attrs.frozen
class OutsideRule:
    """What the operator grants to whoever shows certain claims."""

    permissions: tuple[str, ...]
    where: tuple[tuple[str, str], ...] = ()
    """Claims of the outside token, and the value each must have or hold."""
    vault: str = "default"
    subject_prefix: str = ""
    """What stands before the outside `sub` in the name of the subject."""
    untainted: tuple[str, ...] = ()
    budget: tuple[tuple[str, int], ...] = ()

    def __attrs_post_init__(self) -> None:
        # A rule that nobody could ever use is a mistake, which is better found when it is written.
        sample = Claims(
            subject=f"{self.subject_prefix}x",
            vault=self.vault,
            permissions=self.permissions,
            issued_at=0,
            expires_at=1,
            token_id="x",  # noqa: S106 - no password
            untainted=self.untainted,
            budget=self.budget,
        )
        try:
            check_limits(sample)
        except TokenRefusedError as error:
            raise MappingError(f"A rule grants what no token can hold: {error.message}") from error

    def fits(self, claims: JsonObject) -> bool:
        """Say whether an outside token shows what this rule asks for."""
        return all(_holds(claims.get(name), wanted) for name, wanted in self.where)


@attrs.frozen
class OutsideIssuer:
    """An issuer that the operator trusts to say who somebody is."""

    issuer: str
    """Its identifier, exactly as its tokens say it in `iss`."""
    audience: str
    """What its tokens must say in `aud` to be meant for us."""
    rules: tuple[OutsideRule, ...]
    """The first that fits decides; where none does, the identity is worth nothing here."""
    jwks_uri: str | None = None
    """Where its keys are; looked up in its discovery document if left out."""


class OutsideKeys:
    """The public keys of one issuer, fetched when needed and kept for a while."""

    def __init__(
        self,
        issuer: OutsideIssuer,
        fetch: Fetch,
        clock: Clock,
        *,
        cooldown_seconds: int = COOLDOWN_SECONDS,
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._cooldown = cooldown_seconds * NANOSECONDS
        self._lock = anyio.Lock()
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: int | None = None
        self._tried_at: int | None = None

    def find(self, jws: CompactJws) -> list[PublicKey]:
        """Return the keys that may have signed: the one named, or those of the right kind."""
        if self._age() > MAX_STALE_SECONDS * NANOSECONDS:
            return []
        if jws.kid is None:
            return [key for key in self._keys if key.kid is None]
        return [key for key in self._keys if key.kid == jws.kid]

    async def prepare(self, jws: CompactJws) -> OutsideKeysError | None:
        """Fetch the keys if there is a reason to, and return why it failed, if it did."""
        if not self._should_fetch(jws):
            return None
        async with self._lock:
            # Whoever waited finds the keys that the first one fetched, or its cooldown.
            if not self._should_fetch(jws):
                return None
            self._tried_at = self._clock.monotonic()
            try:
                self._keys = await self._load()
            except OutsideKeysError as error:
                return error
            self._fetched_at = self._tried_at
            return None

    def _should_fetch(self, jws: CompactJws) -> bool:
        if self._age() <= MAX_AGE_SECONDS * NANOSECONDS and self.find(jws):
            return False
        return self._tried_at is None or self._clock.monotonic() - self._tried_at >= self._cooldown

    def _age(self) -> int:
        if self._fetched_at is None:
            return (MAX_STALE_SECONDS + 1) * NANOSECONDS
        return self._clock.monotonic() - self._fetched_at

    async def _load(self) -> tuple[PublicKey, ...]:
        uri = self._issuer.jwks_uri
        if uri is None:
            uri = await self._discover()
        keys = _document(await self._fetch(uri), uri).get("keys")
        if not isinstance(keys, list) or len(keys) > MAX_KEYS:
            raise OutsideKeysError(f"{uri} holds no list of up to {MAX_KEYS} keys.")
        found = tuple([key for key in map(_public_key, keys) if key is not None])
        names = [key.kid for key in found]
        if len(set(names)) != len(names):
            raise OutsideKeysError(f"{uri} holds two keys of one name.")
        return found

    async def _discover(self) -> str:
        url = f"{self._issuer.issuer.rstrip('/')}/.well-known/openid-configuration"
        document = _document(await self._fetch(url), url)
        # Section 4.3: an attacker who serves one document must not speak for another issuer.
        if document.get("issuer") != self._issuer.issuer:
            raise OutsideKeysError(f"{url} speaks for another issuer.")
        uri = document.get("jwks_uri")
        if not isinstance(uri, str):
            raise OutsideKeysError(f"{url} names no jwks_uri.")
        check_url(uri)
        # http is for an issuer on this machine; one elsewhere must not make us ask our own ports.
        if urlsplit(uri).scheme != "https" and urlsplit(url).scheme == "https":
            raise OutsideKeysError(f"{url} names a jwks_uri that is not https.")
        return uri


class OutsideValidator:
    """Validates the tokens of one outside issuer, and says what their subjects may do here."""

    def __init__(
        self,
        issuer: OutsideIssuer,
        fetch: Fetch,
        clock: Clock,
        *,
        cooldown_seconds: int = COOLDOWN_SECONDS,
    ) -> None:
        self._issuer = issuer
        self._keys = OutsideKeys(issuer, fetch, clock, cooldown_seconds=cooldown_seconds)
        self._time = SteadyTime(clock)

    async def prepare(self, token: str) -> None:
        """Fetch the issuer's keys if `token` is of this issuer and needs them."""
        try:
            jws = self._read(token)
        except TokenRefusedError:
            return
        error = await self._keys.prepare(jws)
        if error is not None:
            _log.warning("keys of %s: %s", self._issuer.issuer, error)

    def validate(self, token: str) -> Claims:
        """Return what the operator grants to the subject of a genuine token.

        Raises:
            TokenRefusedError: It is not genuine, not valid now, not for us, its key is not known,
                or no rule fits.
        """
        jws = self._read(token)
        keys = self._keys.find(jws)
        if not keys:
            raise refused("unknown_key", "the issuer has no such key, as far as is known")
        if not any(jws.is_signed_by(key) for key in keys):
            raise refused("bad_signature", "the signature is wrong")
        return self._claims(jws.payload, token, jws.kid)

    def _read(self, token: str) -> CompactJws:
        jws = CompactJws.parse(token, limit=MAX_TOKEN_BYTES)
        if jws.payload.get("iss") != self._issuer.issuer:
            raise refused("wrong_issuer", "the token is of another issuer")
        kind = jws.header.get("typ", "JWT")
        if not isinstance(kind, str) or kind not in _TYPES:
            raise refused("bad_header", "typ is not that of an identity or access token")
        return jws

    def _claims(self, payload: JsonObject, token: str, kid: str | None) -> Claims:
        if not _holds(payload.get("aud"), self._issuer.audience):
            raise refused("wrong_audience", "the token is not for us")
        rule = next((rule for rule in self._issuer.rules if rule.fits(payload)), None)
        if rule is None:
            raise refused("unmapped", "no rule of the operator's fits the identity")
        issued_at, expires_at = _seconds(payload, "iat"), _seconds(payload, "exp")
        subject = payload.get("sub")
        if not isinstance(subject, str):
            raise refused("malformed", "sub is missing, or not text")
        claims = Claims(
            subject=rule.subject_prefix + subject,
            vault=rule.vault,
            permissions=rule.permissions,
            issued_at=issued_at,
            expires_at=min(expires_at, issued_at + MAX_TOKEN_LIFETIME_SECONDS),
            token_id=f"outside/{_name_of(token)}",
            not_before=_seconds(payload, "nbf") if "nbf" in payload else None,
            untainted=rule.untainted,
            budget=rule.budget,
            key_id=kid,
        )
        validate_claims(claims, self._time.seconds(), leeway_seconds=_LEEWAY)
        return claims


def _name_of(token: str) -> str:
    # A token from outside has no name to trust; it is named by what was signed. The signature is no
    # part: whoever has one of ECDSA can make another, and would get a name that was not revoked.
    signed = token.rpartition(".")[0]
    return encode_base64url(hashlib.sha256(signed.encode("ascii")).digest()[:16])


def _holds(value: Json, wanted: str) -> bool:
    return value == wanted or (isinstance(value, list) and wanted in value)


def _seconds(payload: JsonObject, name: str) -> int:
    value = payload.get(name)
    if type(value) is not int or not 0 <= value <= MAX_TIME:
        raise refused("malformed", f"{name} is no whole number of seconds")
    return value


def _document(data: bytes, url: str) -> JsonObject:
    try:
        value = strict_json(data)
    except TokenRefusedError as error:
        raise OutsideKeysError(f"{url} is not strict JSON.") from error
    if not isinstance(value, dict):
        raise OutsideKeysError(f"{url} holds no object.")
    return value


def _public_key(jwk: Json) -> PublicKey | None:
    # An issuer may publish keys of kinds that are not used here; those are passed over, since
    # nothing can be verified with them.
    try:
        return PublicKey.from_jwk(jwk)
    except ValueError:
        return None


if TYPE_CHECKING:
    _implements: type[PreparingValidator] = OutsideValidator
