"""The endpoints of OAuth that this package answers, as plain functions of what was received.

Token exchange (RFC 8693), introspection (RFC 7662), revocation (RFC 7009) and the public keys
(RFC 7517). A fault of the caller is an answer and not an exception, in the form of RFC 6749,
section 5.2; why a token was refused only the audit learns.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import attrs

from toka.auth._errors import AuthenticationError, TakeBackError
from toka.capability.core import (
    MAX_NAME_BYTES,
    Claims,
    Denial,
    Permission,
    PermissionSyntaxError,
    SteadyTime,
    TokenRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toka.auth._authenticator import Authenticator
    from toka.auth._jose import PublicKey
    from toka.auth._revocation import TakesBack
    from toka.capability.core import TokenIssuer
    from toka.types import Clock, Json

EXCHANGE_GRANT: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_TYPE: Final = "urn:ietf:params:oauth:token-type:jwt"
INTROSPECT: Final = "auth:introspect:token"
"""The permission that lets a caller ask about any token of its vault."""
REVOKE: Final = "auth:revoke:token"
"""The permission that lets a caller take any token of its vault back."""
EXCHANGED_SECONDS: Final = 900

_TYPE: Final = "urn:ietf:params:oauth:token-type:"
_SUBJECT_TYPES: Final = frozenset({JWT_TYPE, f"{_TYPE}id_token", f"{_TYPE}access_token"})
_RESULT_TYPES: Final = frozenset({JWT_TYPE, f"{_TYPE}access_token"})
_NOT_THE_CALLERS: Final = Denial(
    code="auth.not_the_callers", rule="a caller may not take this token back"
)
_OF_ANOTHER_VAULT: Final = Denial(
    code="auth.not_the_callers", rule="a caller of another vault asked about this token"
)
_NO_STORE: Final = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))


@attrs.frozen
class Answer:
    """What to answer over HTTP."""

    status: int
    body: Mapping[str, Json]
    headers: tuple[tuple[str, str], ...] = _NO_STORE


@attrs.frozen
class Endpoints:
    """Answers for one authenticator and one issuer."""

    authenticator: Authenticator
    """Knows the callers, and the tokens that they speak about."""
    identities: Authenticator
    """Knows whom a token may be exchanged for: outside issuers, API keys."""
    issuer: TokenIssuer
    clock: Clock
    revocations: TakesBack | None = None
    """Where revocations go; without it the endpoint says that it is not there."""
    public_keys: Sequence[PublicKey] = ()
    """The public halves of signing keys. Keys of HMAC have none and are never published."""
    exchanged_seconds: int = EXCHANGED_SECONDS
    """The life of an exchanged token, at most; it never outlives what it was exchanged for."""
    _time: SteadyTime = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_time", SteadyTime(self.clock))

    async def exchange(self, form: Mapping[str, str]) -> Answer:
        """Turn a credential from outside into a short capability token (RFC 8693, section 2)."""
        fault = _exchange_fault(form)
        if fault is not None:
            return fault
        try:
            claims = await self.identities.authenticate_fetching(form["subject_token"])
        except AuthenticationError:
            return _fault("invalid_grant", "The subject token is not accepted.")
        if not _is_plain(claims):
            return _fault("invalid_grant", "The subject token cannot be exchanged.")
        return self._exchanged(claims, form)

    def _exchanged(self, claims: Claims, form: Mapping[str, str]) -> Answer:
        permissions = claims.permissions
        if "scope" in form:
            wanted = _within(form["scope"], claims)
            if wanted is None:
                return _fault("invalid_scope", "The scope is not within the subject's permissions.")
            permissions = wanted
        now = self._time.seconds()
        new = Claims(
            subject=claims.subject,
            vault=claims.vault,
            permissions=permissions,
            issued_at=now,
            expires_at=min(now + self.exchanged_seconds, claims.expires_at),
            token_id=f"exchanged/{secrets.token_urlsafe(16)}",
            audience=(form["audience"],) if "audience" in form else claims.audience,
            untainted=() if "scope" in form else claims.untainted,
        )
        if claims.audience and not {*new.audience} <= {*claims.audience}:
            return _fault("invalid_target", "The audience is not among the subject token's.")
        try:
            token = self.issuer.issue(new)
        except TokenRefusedError:
            return _fault("invalid_request", "No token can be made of this.")
        return Answer(
            200,
            {
                "access_token": token,
                "issued_token_type": JWT_TYPE,
                "token_type": "Bearer",
                "expires_in": new.expires_at - now,
                "scope": " ".join(permissions),
            },
        )

    def introspect(self, form: Mapping[str, str], caller: Claims) -> Answer:
        """Say whether a token is active, and what it says (RFC 7662, section 2.2).

        A token of another vault is none of the caller's business, so the answer is that it is not
        active, as it is for whatever is no token.
        """
        if caller.granted.covers(INTROSPECT) is None:
            return _forbidden()
        if "token" not in form:
            return _fault("invalid_request", "There is no token in the request.")
        try:
            claims = self.authenticator.identify(form["token"])
        except AuthenticationError:
            return Answer(200, {"active": False})
        if claims.vault != caller.vault:
            self.authenticator.note_refusal(form["token"], _OF_ANOTHER_VAULT)
            return Answer(200, {"active": False})
        return Answer(200, _described(claims))

    async def revoke(self, form: Mapping[str, str], caller: Claims) -> Answer:
        """Take a token back (RFC 7009). One that is not valid is no fault: it is gone already.

        Who holds a token may take it back, and whatever was narrowed from it; others need a
        permission, which counts in their own vault. A token that is not the caller's to take back
        stays, and the answer is the one for a token that is not valid: to refuse would tell the
        caller that it is. The audit learns of it.
        """
        if self.revocations is None:
            return _fault("unsupported_token_type", "Tokens cannot be taken back here.", 503)
        if "token" not in form:
            return _fault("invalid_request", "There is no token in the request.")
        try:
            claims = self.authenticator.identify(form["token"])
        except AuthenticationError:
            return Answer(200, {})
        if not _may_take_back(claims, caller):
            self.authenticator.note_refusal(form["token"], _NOT_THE_CALLERS)
            return Answer(200, {})
        try:
            await self.revocations.take_back(claims)
        except TakeBackError:
            # Section 2.2.1: the client must take the token for valid still, and ask again.
            return _fault("temporarily_unavailable", "Ask again.", 503)
        return Answer(200, {})

    def jwks(self) -> Answer:
        """Return the public keys, and nothing of a secret one (RFC 7517, section 5)."""
        keys: list[Json] = [
            {**key.members, "kid": key.kid or key.thumbprint, "use": "sig"}
            for key in self.public_keys
        ]
        return Answer(200, {"keys": keys}, (("Cache-Control", "public, max-age=300"),))


def _exchange_fault(form: Mapping[str, str]) -> Answer | None:
    if form.get("grant_type") != EXCHANGE_GRANT:
        return _fault("unsupported_grant_type", f"The grant type is {EXCHANGE_GRANT}.")
    if "subject_token" not in form or form.get("subject_token_type") not in _SUBJECT_TYPES:
        return _fault("invalid_request", "A subject_token of type jwt, id_token or access_token.")
    if form.get("requested_token_type", JWT_TYPE) not in _RESULT_TYPES:
        return _fault("invalid_request", "Only tokens of type jwt are issued.")
    if "actor_token" in form or "actor_token_type" in form:
        return _fault("invalid_request", "Acting for another is said by delegation, not here.")
    if "resource" in form or not _is_name(form.get("audience", "x")):
        return _fault("invalid_target", "One audience by name, and no resource.")
    return None


def _may_take_back(claims: Claims, caller: Claims) -> bool:
    if claims.vault != caller.vault:
        return False
    own = any(hop.token_id == caller.token_id for hop in claims.accounts)
    return own or caller.granted.covers(REVOKE) is not None


def _is_plain(claims: Claims) -> bool:
    """Say whether a new token can say all that restricts the old one.

    It has accounts of its own, so whoever could exchange a budget or a rate would double it; and it
    is not behind the hops of a chain, so it would not fall with them.
    """
    restricted = (claims.budget, claims.windows, claims.extensions)
    limited = (claims.holder, claims.depth, claims.rate)
    subjects = {hop.subject for hop in claims.accounts}
    return not any(restricted) and limited == (None, None, None) and len(subjects) == 1


def _within(scope: str, claims: Claims) -> tuple[str, ...] | None:
    """Return the permissions of a scope if all are the subject's, in the spelling of the scope."""
    wanted = tuple(scope.split(" "))
    try:
        permissions = [Permission.parse(text) for text in wanted]
    except PermissionSyntaxError:
        return None
    covered = all(claims.granted.covers(permission) is not None for permission in permissions)
    return wanted if covered else None


def _is_name(text: str) -> bool:
    return 0 < len(text.encode("utf-8", "replace")) <= MAX_NAME_BYTES and text.isprintable()


def _described(claims: Claims) -> dict[str, Json]:
    described: dict[str, Json] = {
        "active": True,
        "sub": claims.subject,
        "vault": claims.vault,
        "scope": " ".join(claims.permissions),
        "iat": claims.issued_at,
        "exp": claims.expires_at,
        "jti": claims.token_id,
        "token_type": "Bearer" if claims.holder is None else "DPoP",
    }
    if claims.not_before is not None:
        described["nbf"] = claims.not_before
    if claims.audience:
        described["aud"] = claims.audience
    if claims.untainted:
        described["untainted"] = claims.untainted
    if claims.holder is not None:
        described["cnf"] = {"jkt": claims.holder}
    if claims.chain:
        described["chain"] = [{"jti": hop.token_id, "sub": hop.subject} for hop in claims.chain]
    return described


def _fault(error: str, description: str, status: int = 400) -> Answer:
    return Answer(status, {"error": error, "error_description": description})


def _forbidden() -> Answer:
    return _fault("insufficient_scope", "The caller may not do this.", 403)
