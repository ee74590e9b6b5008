"""What a token says: who may do what, from when to when, and with how much."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from toka.capability.core._caveats import (
    MAX_RATE_CALLS,
    MAX_RATE_SECONDS,
    MAX_WINDOWS,
    Extension,
    MaxRate,
)
from toka.capability.core._denial import Denial
from toka.capability.core._errors import InvalidClaimsError, PermissionSyntaxError
from toka.capability.core._hierarchy import NO_IMPLICATIONS, ActionHierarchy
from toka.capability.core._permission import Permission
from toka.capability.core._permission_set import PermissionSet
from toka.capability.core._window import TimeWindow, closes_at, is_open
from toka.types import MAX_PERMISSIONS, MAX_TOKEN_LIFETIME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toka.types import Json

MAX_NAME_BYTES: Final = 256
"""Longest subject, vault, token id or audience, in UTF-8."""
MAX_AUDIENCES: Final = 16
MAX_AMOUNT: Final = 2**53 - 1
"""Largest amount in a budget: the largest integer that every JSON reader keeps exact."""
MAX_TIME: Final = 253_402_300_799
"""The last second of the year 9999, in seconds since the Unix epoch."""
ISSUED_AT_LEEWAY_SECONDS: Final = 5
"""How far the clock of an issuer may be ahead."""
MAX_HOPS: Final = 16
"""Most times that a token is handed on, whatever it or a validator says."""
MAX_EXTENSIONS: Final = 8
NO_EXTENSIONS: Final[Mapping[str, ExtensionRule]] = MappingProxyType({})
"""What a validator knows that knows no extension."""
BUDGET_RESOURCES: Final = frozenset({"calls", "money", "tokens"})
"""What a budget may limit; `money` counts millionths of a US dollar."""

_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


ExtensionRule: TypeAlias = "Callable[[Json, Claims, int], Denial | None]"
"""Judges an extension: its data, the claims that hold it, and the time in seconds."""


@attrs.frozen
class Hop:
    """One link of a chain: somebody who was handed the token, and what that link may spend."""

    token_id: str
    """Names the link, for revocation: whatever is behind it in the chain falls with it."""
    subject: str
    budget: tuple[tuple[str, int], ...] = ()
    rate: MaxRate | None = None


@attrs.frozen
class Claims:
    """What a token says, once it is known who said it.

    Constructing checks nothing; `validate_claims` checks everything.
    """

    subject: str
    """Who acts. On the wire `sub`."""
    vault: str
    """The tenant whose things the permissions speak of."""
    permissions: tuple[str, ...]
    """What the subject may do. An empty tuple grants nothing."""
    issued_at: int
    """Seconds since the Unix epoch. On the wire `iat`."""
    expires_at: int
    """The first second at which the token is no longer valid. On the wire `exp`."""
    token_id: str
    """Names this token, for revocation. On the wire `jti`."""
    not_before: int | None = None
    """The first second at which the token is valid. On the wire `nbf`."""
    audience: tuple[str, ...] = ()
    """Who may accept the token; empty where anybody may who knows the key. On the wire `aud`."""
    untainted: tuple[str, ...] = ()
    """What the subject may do besides, while nothing from outside has influenced it."""
    budget: tuple[tuple[str, int], ...] = ()
    """Resource and amount, sorted by resource. A resource that is not named is not limited here."""
    windows: tuple[TimeWindow, ...] = ()
    """When the token holds: while one of these is open. Without any, all its life."""
    depth: int | None = None
    """How many times more it may be handed on; not limited here where it is None."""
    rate: MaxRate | None = None
    """How often the subject may act. In a chain the last hop's own; `accounts` has all."""
    holder: str | None = None
    """Thumbprint of the key whose possession has to be proved. On the wire `cnf`."""
    extensions: tuple[Extension, ...] = ()
    """Restrictions that are not Toka's; a validator that does not know one refuses."""
    chain: tuple[Hop, ...] = ()
    """Who handed it to whom, the root first. Empty for a token straight from its issuer."""
    key_id: str | None = attrs.field(default=None, eq=False)
    """The name of the key that signed it, where a validator says so; no part of the wire."""
    hierarchy: ActionHierarchy = attrs.field(default=NO_IMPLICATIONS, eq=False, repr=False)
    """Which actions imply which, as the validator was told; no part of the wire."""

    @cached_property
    def granted(self) -> PermissionSet:
        """What the subject may do at any time."""
        return PermissionSet.parse(self.permissions, self.hierarchy)

    @cached_property
    def guarded(self) -> PermissionSet:
        """What the subject may do only while it is not tainted."""
        return PermissionSet.parse(self.untainted, self.hierarchy)

    @property
    def accounts(self) -> tuple[Hop, ...]:
        """Whose budgets and rates a spending or an act counts against: all along the chain."""
        return self.chain or (Hop(self.token_id, self.subject, self.budget, self.rate),)

    @property
    def begins_at(self) -> int:
        """The first second of its life, as its issuer's clock showed it."""
        return self.issued_at if self.not_before is None else self.not_before

    def valid_until(self, now_seconds: int) -> int:
        """Return the first second, now or later, at which the answer "valid" may change.

        What was valid may be remembered until then. An extension may change its mind at once.
        """
        if self.extensions:
            return now_seconds
        if not self.windows:
            return self.expires_at
        return closes_at(self.windows, now_seconds, self.expires_at)

    def budget_for(self, resource: str) -> int | None:
        """Return the amount of `resource` that may be spent, or None where it is not limited."""
        return dict(self.budget).get(resource)


def validate_claims(
    claims: Claims,
    now_seconds: int,
    *,
    leeway_seconds: int = 0,
    extensions: Mapping[str, ExtensionRule] = NO_EXTENSIONS,
) -> None:
    """Check every limit, every rule of time and every extension.

    Args:
        claims: What to check.
        now_seconds: The time of day, in seconds since the Unix epoch.
        leeway_seconds: How far the clocks of issuer and validator may differ. It never extends
            the longest lifetime, nor a time window.
        extensions: The extensions that are known, by name. Any other refuses.

    Raises:
        InvalidClaimsError: A rule is broken; `denial` says which.
    """
    check_limits(claims)
    check_moment(claims, now_seconds, leeway_seconds=leeway_seconds, extensions=extensions)


def check_moment(
    claims: Claims,
    now_seconds: int,
    *,
    leeway_seconds: int = 0,
    extensions: Mapping[str, ExtensionRule] = NO_EXTENSIONS,
) -> None:
    """Check what depends on the moment: the half of `validate_claims` besides `check_limits`.

    Raises:
        InvalidClaimsError: The claims do not hold now; `denial` says why.
    """
    _check_time(claims, now_seconds, leeway_seconds)
    if claims.windows and not is_open(claims.windows, now_seconds):
        raise _invalid("no time window is open", "capability.outside_window")
    for extension in claims.extensions:
        rule = extensions.get(extension.name)
        if rule is None:
            name = extension.name[:80]
            raise _invalid(f"the extension {name!r} is not known", "capability.unknown_caveat")
        denial = rule(extension.data, claims, now_seconds)
        if denial is not None:
            raise InvalidClaimsError.of(denial)


def validate_for_issue(claims: Claims, now_seconds: int, *, leeway_seconds: int = 0) -> None:
    """Check what an issuer checks: a token may be made while its windows are closed.

    Raises:
        InvalidClaimsError: A limit is broken, or the token would have expired or not begun.
    """
    check_limits(claims)
    _check_time(claims, now_seconds, leeway_seconds)


def check_limits(claims: Claims) -> None:
    """Check everything that holds whatever the time is.

    Raises:
        InvalidClaimsError: A limit is broken; `denial` says which.
    """
    _check_name("sub", claims.subject)
    _check_name("vault", claims.vault)
    _check_name("jti", claims.token_id)
    _check_permissions((*claims.permissions, *claims.untainted))
    _check_audience(claims.audience)
    _check_budget(claims.budget)
    _check_lifetime(claims)
    _check_restrictions(claims)


def _check_name(label: str, text: str) -> None:
    # Canonical encoding, logs and people must agree on what a name is: visible, in one spelling.
    if (
        text.isascii()
        and text.isprintable()
        and 0 < len(text) <= MAX_NAME_BYTES
        and " " not in text
    ):
        return
    if not text.strip() or len(text.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise _invalid(f"{label} is blank or over {MAX_NAME_BYTES} bytes")
    if not text.isprintable() or text[0] == " " or text[-1] == " ":
        raise _invalid(f"{label} holds an invisible character, or a space at an end")
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise _invalid(f"{label} is not in Unicode normalisation form C")


def _check_permissions(permissions: Sequence[str]) -> None:
    if len(permissions) > MAX_PERMISSIONS:
        raise _invalid(f"there are {len(permissions)} permissions, over {MAX_PERMISSIONS}")
    for text in permissions:
        try:
            Permission.parse(text)
        except PermissionSyntaxError as error:
            raise _invalid(f"a permission is not in the grammar: {error.message}") from error


def _check_audience(audience: Sequence[str]) -> None:
    if len(audience) > MAX_AUDIENCES:
        raise _invalid(f"there are {len(audience)} audiences, over {MAX_AUDIENCES}")
    for name in audience:
        _check_name("aud", name)


def _check_budget(budget: Sequence[tuple[str, int]]) -> None:
    names = [name for name, _ in budget]
    if names != sorted(set(names)):
        raise _invalid("the budget is not sorted by resource, or names one twice")
    for name, amount in budget:
        if name not in BUDGET_RESOURCES:
            raise _invalid("the budget names an unknown resource")
        if not _is_integer(amount, MAX_AMOUNT):
            raise _invalid(f"the budget's {name} is no integer from 0 to {MAX_AMOUNT}")


def _check_restrictions(claims: Claims) -> None:
    if len(claims.windows) > MAX_WINDOWS:
        raise _invalid(f"there are {len(claims.windows)} windows, over {MAX_WINDOWS}")
    if claims.depth is not None and not _is_integer(claims.depth, MAX_HOPS):
        raise _invalid(f"depth is no integer from 0 to {MAX_HOPS}")
    rate = claims.rate
    if rate is not None and not (
        _is_integer(rate.calls, MAX_RATE_CALLS)
        and _is_integer(rate.seconds, MAX_RATE_SECONDS)
        and rate.seconds
    ):
        raise _invalid(f"rate is not up to {MAX_RATE_CALLS} calls in 1 to {MAX_RATE_SECONDS} s")
    if claims.holder is not None and not _THUMBPRINT.fullmatch(claims.holder):
        raise _invalid("cnf holds no SHA-256 thumbprint")
    if len(claims.extensions) > MAX_EXTENSIONS:
        raise _invalid(f"there are {len(claims.extensions)} extensions, over {MAX_EXTENSIONS}")
    for extension in claims.extensions:
        _check_name("ext", extension.name)


def _check_lifetime(claims: Claims) -> None:
    times = [("iat", claims.issued_at), ("exp", claims.expires_at)]
    if claims.not_before is not None:
        times.append(("nbf", claims.not_before))
    for label, value in times:
        if not _is_integer(value, MAX_TIME):
            raise _invalid(f"{label} is no integer of seconds up to the year 9999")
    if claims.expires_at <= claims.issued_at:
        raise _invalid("exp is not after iat")
    if claims.expires_at - claims.issued_at > MAX_TOKEN_LIFETIME_SECONDS:
        raise _invalid(f"the lifetime is over {MAX_TOKEN_LIFETIME_SECONDS} seconds")
    if claims.not_before is not None and claims.not_before >= claims.expires_at:
        raise _invalid("nbf is not before exp")


def _check_time(claims: Claims, now: int, leeway: int) -> None:
    if now >= claims.expires_at + leeway:
        raise _invalid("the token has expired", "capability.expired")
    if claims.issued_at > now + max(leeway, ISSUED_AT_LEEWAY_SECONDS):
        raise _invalid("iat lies in the future", "capability.not_yet_valid")
    if claims.not_before is not None and claims.not_before > now + leeway:
        raise _invalid("nbf lies in the future", "capability.not_yet_valid")


def _is_integer(value: object, maximum: int) -> bool:
    return type(value) is int and 0 <= value <= maximum


def _invalid(rule: str, code: str = InvalidClaimsError.default_code) -> InvalidClaimsError:
    return InvalidClaimsError.of(Denial(code=code, rule=rule))
