"""From a presented credential to claims, and from every failure to one and the same answer.

Verifying is done once for each token and then remembered by digest, never by text: a dump of memory
or a mistake in a log shows no token. What is remembered holds until the earliest moment at which
the answer could change: the token expires, its time window closes, a key ceases to verify, or
something, anything, is revoked; then only the revocation is looked up again, as a signature does
not go bad. Failures are not remembered: they cost one length check or one HMAC, and remembering
them would let strangers fill the memory.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Final

import attrs

from toka.auth._errors import AuthenticationError
from toka.auth._presented import PreparingValidator
from toka.auth._revocation import NothingRevoked
from toka.capability.core import MAX_LEEWAY_SECONDS, Denial, SteadyTime, TokenRefusedError
from toka.types import MAX_TOKEN_BYTES, MAX_TOKEN_LIFETIME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from toka.auth._presented import OnceCheck, Proof, ProofCheck, RateCheck
    from toka.auth._revocation import RevocationCheck
    from toka.capability.core import Claims, TokenValidator
    from toka.types import Clock

DEFAULT_CACHE_SIZE: Final = 4_096

_log = logging.getLogger("toka.auth")


@attrs.frozen
class RefusedCredential:
    """What the audit learns about a failure; it never holds the credential."""

    fingerprint: str
    """The first half of the credential's SHA-256 in hexadecimal; empty if it was never hashed."""
    denials: tuple[Denial, ...]
    """Why each validator refused, in their order, or the one reason that came before or after."""


@attrs.frozen
class _Verified:
    claims: Claims
    epoch: int
    until: int
    """The first second at which the answer may be another."""
    keys: Hashable
    """What `key_epoch` was before verifying."""


class Authenticator:
    """Says who presents a credential, and what it allows.

    Safe to use from several threads.
    """

    __slots__ = (
        "_audit",
        "_cache_size",
        "_key_epoch",
        "_once",
        "_preparing",
        "_proofs",
        "_rates",
        "_revoked",
        "_time",
        "_validators",
        "_verified",
    )

    def __init__(
        self,
        validators: Sequence[TokenValidator],
        clock: Clock,
        cache_size: int = DEFAULT_CACHE_SIZE,
        revoked: RevocationCheck | None = None,
        *,
        proofs: ProofCheck | None = None,
        rates: RateCheck | None = None,
        once: OnceCheck | None = None,
        key_epoch: Callable[[], Hashable] = lambda: None,
        audit: Callable[[RefusedCredential], None] | None = None,
    ) -> None:
        """Prepare to authenticate.

        Args:
            validators: One for each kind of token; the first that accepts decides.
            clock: Tells the time.
            cache_size: How many verified tokens to remember; when they are that many, all are
                forgotten and remembering starts again.
            revoked: Knows what was taken back; nothing if left out.
            proofs: Checks proofs of possession. Left out, a token that is bound to a key is
                refused.
            rates: Counts acts. Left out, a token that carries a rate is refused.
            once: Remembers used tokens, for `authenticate_once`.
            key_epoch: Returns another value whenever a key may have begun or ceased to verify, for
                example the names of a ring's verifying keys; a remembered token is then verified
                anew.
            audit: Is told of every failure; a warning is logged if left out. It should not raise:
                whatever it raises reaches the caller in place of the constant error.

        Raises:
            ValueError: There is no validator, or the cache size is not positive.
        """
        if not validators:
            raise ValueError("An authenticator needs a validator.")
        if cache_size < 1:
            raise ValueError("A cache holds at least one token.")
        self._validators = tuple(validators)
        # Asked once: whether something follows a protocol takes longer to say than what it says.
        self._preparing = [each for each in validators if isinstance(each, PreparingValidator)]
        self._time = SteadyTime(clock)
        self._cache_size = cache_size
        self._revoked = revoked if revoked is not None else NothingRevoked()
        self._proofs = proofs
        self._rates = rates
        self._once = once
        self._key_epoch = key_epoch
        self._audit = audit if audit is not None else _log_refusal
        self._verified: dict[bytes, _Verified] = {}

    def authenticate(self, credential: str, proof: Proof | None = None) -> Claims:
        """Return the claims of a genuine credential that is valid now and was not taken back.

        What a validator or a check raises because it cannot judge at all, as with a key ring that
        cannot be read, reaches the caller: nobody is accepted, and no credential is to blame.

        Raises:
            AuthenticationError: It is anything else; the error does not say what.
        """
        claims = self.identify(credential)
        if claims.holder is not None or claims.rate is not None or claims.chain:
            self._check_use(credential, claims, proof)
        return claims

    def identify(self, credential: str) -> Claims:
        """Return what a credential says, without its holder's proof and without counting an act.

        For speaking *about* a token, never for acting by it.

        Raises:
            AuthenticationError: It is not genuine, not valid now, or was taken back.
        """
        if not _is_presentable(credential):
            raise self._refusal("", _UNPRESENTABLE)
        digest = hashlib.sha256(credential.encode("ascii")).digest()
        found = self._verified.get(digest)
        keys = self._key_epoch()
        if found is None or self._time.seconds() >= found.until or found.keys != keys:
            return self._verify(credential, digest, keys)
        if found.epoch == self._revoked.epoch:
            return found.claims
        return self._accept(found.claims, digest, self._revoked.epoch, keys)

    def authenticate_once(self, credential: str, proof: Proof | None = None) -> Claims:
        """Authenticate, and use the token up: whoever presents it again is refused.

        The token is used up after every other check, so that a failure costs nobody his token. A
        root and all that was narrowed from it count once together, or its holder could hand it on
        to as many as he liked.

        Raises:
            AuthenticationError: It is not acceptable, or was used before.
            RuntimeError: This authenticator was made without `once`.
        """
        if self._once is None:
            raise RuntimeError("An authenticator needs `once` to let tokens be used once.")
        claims = self.authenticate(credential, proof)
        if not self._once.burn(*_root_of(claims)):
            raise self._refusal(_fingerprint_of(credential), _USED)
        return claims

    async def authenticate_fetching(self, credential: str, proof: Proof | None = None) -> Claims:
        """Authenticate, and first let validators fetch what they need, keys of others for example.

        Raises:
            AuthenticationError: It is not acceptable; the error does not say why.
        """
        if self._preparing and _is_presentable(credential):
            for validator in self._preparing:
                await validator.prepare(credential)
        return self.authenticate(credential, proof)

    def forget(self) -> None:
        """Forget all verified tokens, for example because a key is no longer trusted."""
        self._verified.clear()

    def note_refusal(self, credential: str, denial: Denial) -> None:
        """Tell the audit of a refusal that somebody else decided about a credential that is good.

        Args:
            credential: What was presented, after it was identified.
            denial: Why it was of no use.
        """
        self._audit(RefusedCredential(_fingerprint_of(credential), (denial,)))

    def _verify(self, credential: str, digest: bytes, keys: Hashable) -> Claims:
        epoch = self._revoked.epoch
        denials: list[Denial] = []
        for validator in self._validators:
            try:
                claims = validator.validate(credential)
            except TokenRefusedError as error:
                denials.append(error.denial)
            else:
                return self._accept(claims, digest, epoch, keys)
        # Raised out here, not while a reason is being handled: nothing may be chained to it.
        self._verified.pop(digest, None)
        raise self._refusal(_fingerprint(digest), *denials)

    def _accept(self, claims: Claims, digest: bytes, epoch: int, keys: Hashable) -> Claims:
        # The epoch was read before the check: what is revoked meanwhile is looked up next time.
        denial = self._revoked.denial(claims)
        if denial is not None:
            self._verified.pop(digest, None)
            raise self._refusal(_fingerprint(digest), denial)
        if len(self._verified) >= self._cache_size:
            self._verified.clear()
        until = claims.valid_until(self._time.seconds())
        self._verified[digest] = _Verified(claims, epoch, until, keys)
        return claims

    def _check_use(self, credential: str, claims: Claims, proof: Proof | None) -> None:
        """Check what holds for one use: the proof of the holder first, then the rates."""
        denial = self._unproved(credential, claims, proof) or self._too_often(claims)
        if denial is not None:
            raise self._refusal(_fingerprint_of(credential), denial)

    def _unproved(self, credential: str, claims: Claims, proof: Proof | None) -> Denial | None:
        if claims.holder is None:
            return None
        if self._proofs is None or proof is None:
            return _UNPROVED
        return self._proofs.denial(credential, claims, proof)

    def _too_often(self, claims: Claims) -> Denial | None:
        rated = [hop for hop in claims.accounts if hop.rate is not None]
        if not rated:
            return None
        return _UNCOUNTED if self._rates is None else self._rates.denial(rated)

    def _refusal(self, fingerprint: str, *denials: Denial) -> AuthenticationError:
        self._audit(RefusedCredential(fingerprint, denials))
        return AuthenticationError()


_UNPROVED: Final = Denial(
    code="auth.unproved", rule="the token is bound to a key and no proof of it can be checked"
)
_UNCOUNTED: Final = Denial(
    code="auth.uncounted", rule="the token carries a rate and nobody counts its acts"
)
_USED: Final = Denial(code="auth.used", rule="the token may be used once and was")
_UNPRESENTABLE: Final = Denial(
    code="capability.malformed",
    rule=f"the credential is not ASCII text of up to {MAX_TOKEN_BYTES} bytes",
)


def _is_presentable(credential: object) -> bool:
    return (
        isinstance(credential, str)
        and 0 < len(credential) <= MAX_TOKEN_BYTES
        and credential.isascii()
    )


def _root_of(claims: Claims) -> tuple[str, int]:
    """Return the name of a token's root, and the last second at which that could be accepted."""
    end = claims.expires_at
    if claims.chain:  # A hop may end earlier than its root, whose own end nobody knows any more.
        end = claims.issued_at + MAX_TOKEN_LIFETIME_SECONDS
    return claims.accounts[0].token_id, end + MAX_LEEWAY_SECONDS


def _fingerprint(digest: bytes) -> str:
    return digest[: len(digest) // 2].hex()


def _fingerprint_of(credential: str) -> str:
    return _fingerprint(hashlib.sha256(credential.encode("ascii")).digest())


def _log_refusal(refused: RefusedCredential) -> None:
    reasons = "; ".join(f"{denial.code}: {denial.rule}" for denial in refused.denials)
    _log.warning("credential %s refused: %s", refused.fingerprint or "(unread)", reasons)
