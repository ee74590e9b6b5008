"""Caveats: what whoever holds a token may add to it before handing it on.

Each caveat belongs to one member of `Claims` and may only make it smaller; `apply` refuses whatever
would allow more than the claims did. There is no caveat that widens, and none that is skipped: who
does not know a caveat refuses the token. What a hop does not mention stays as it was.

The rule in front of every check is not "the smaller of the two" but a refusal: a child that asks
for more than its parent has is a mistake or an attack, and both should be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

import attrs

from toka.capability.core._denial import Denial
from toka.capability.core._errors import PermissionSyntaxError, TokenRefusedError
from toka.capability.core._hierarchy import NO_IMPLICATIONS, ActionHierarchy
from toka.capability.core._permission import Permission
from toka.capability.core._permission_set import PermissionSet
from toka.capability.core._window import TimeWindow, first_leak

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.capability.core._claims import Claims
    from toka.types import Json

MAX_WINDOWS: Final = 8
"""Time windows in one caveat."""
MAX_RATE_CALLS: Final = 10_000
"""Acts in one rate: few enough to be remembered one by one, so that a rate can be kept exactly."""
MAX_RATE_SECONDS: Final = 86_400
MAX_LEEWAY_SECONDS: Final = 60
"""How far the clocks of an issuer and a validator may differ at most."""


@attrs.frozen
class OnlyPermissions:
    """Keep these permissions. None at all is a right to nothing."""

    member: ClassVar[str] = "permissions"

    permissions: tuple[str, ...]
    untainted: tuple[str, ...] = ()
    """What is allowed besides while nothing from outside has influenced the subject."""

    def apply(self, claims: Claims, hierarchy: ActionHierarchy = NO_IMPLICATIONS) -> Claims:
        granted = _parsed(claims.permissions, hierarchy)
        _check_within(self.permissions, granted)
        if self.untainted:
            _check_within(self.untainted, granted, _parsed(claims.untainted, hierarchy))
        return attrs.evolve(claims, permissions=self.permissions, untainted=self.untainted)


@attrs.frozen
class OnlyUntainted:
    """Allow nothing to a subject that something from outside has influenced."""

    member: ClassVar[str] = "only_untainted"

    def apply(self, claims: Claims) -> Claims:
        untainted = (*claims.permissions, *claims.untainted)
        return attrs.evolve(claims, permissions=(), untainted=untainted)


@attrs.frozen
class ExpiresAt:
    """End earlier: the first second, since the Unix epoch, that is too late."""

    member: ClassVar[str] = "exp"

    seconds: int

    def apply(self, claims: Claims) -> Claims:
        if self.seconds > claims.expires_at:
            raise widens("it would end after its parent")
        return attrs.evolve(claims, expires_at=self.seconds)


@attrs.frozen
class NotBefore:
    """Begin later: the first second, since the Unix epoch, that is not too early."""

    member: ClassVar[str] = "nbf"

    seconds: int

    def apply(self, claims: Claims) -> Claims:
        if claims.not_before is not None and self.seconds < claims.not_before:
            raise widens("it would begin before its parent")
        if self.seconds >= claims.expires_at:
            raise _ill_formed("it would begin after its end")
        return attrs.evolve(claims, not_before=self.seconds)


@attrs.frozen
class OnlyDuring:
    """Hold only while one of these windows is open."""

    member: ClassVar[str] = "windows"

    windows: tuple[TimeWindow, ...]

    def apply(self, claims: Claims) -> Claims:
        if not self.windows:
            raise widens("there is no window in the caveat of windows")
        # A validator whose clock differs may meet the token a little before and after its life.
        begin = claims.begins_at - MAX_LEEWAY_SECONDS
        end = claims.expires_at + MAX_LEEWAY_SECONDS
        if claims.windows and claims.windows != self.windows:
            leak = first_leak(self.windows, claims.windows, begin, end)
            if leak is not None:
                raise widens(f"it would be open at {leak}, when its parent is closed")
        return attrs.evolve(claims, windows=self.windows)


@attrs.frozen
class OnlyAudience:
    """Be for these only."""

    member: ClassVar[str] = "aud"

    audience: tuple[str, ...]

    def apply(self, claims: Claims) -> Claims:
        if not self.audience:
            raise widens("the audience is empty, which would be everybody")
        if claims.audience and not {*self.audience} <= {*claims.audience}:
            raise widens("it is for somebody for whom its parent is not")
        return attrs.evolve(claims, audience=self.audience)


@attrs.frozen
class MaxDepth:
    """Be handed on at most so many times more; 0 is for good."""

    member: ClassVar[str] = "depth"

    hops: int

    def apply(self, claims: Claims) -> Claims:
        if claims.depth is not None and self.hops > claims.depth:
            raise widens("it could be handed on more often than its parent")
        return attrs.evolve(claims, depth=self.hops)


@attrs.frozen
class MaxBudget:
    """Spend no more than this, out of what the parent may spend."""

    member: ClassVar[str] = "budget"

    amounts: tuple[tuple[str, int], ...]
    """Resource and amount, sorted by resource."""

    def apply(self, claims: Claims) -> Claims:
        known = dict(claims.budget)
        for resource, amount in self.amounts:
            if amount > known.get(resource, amount):
                raise widens(f"its budget of {resource} is larger than its parent's")
        budget = tuple(sorted({**known, **dict(self.amounts)}.items()))
        return attrs.evolve(claims, budget=budget)


@attrs.frozen
class MaxRate:
    """Act at most `calls` times in any `seconds`; every ancestor's rate holds besides."""

    member: ClassVar[str] = "rate"

    calls: int
    seconds: int

    def apply(self, claims: Claims) -> Claims:
        return attrs.evolve(claims, rate=self)


@attrs.frozen
class OnlyHolder:
    """Be worth something only with a proof of possession of a key (RFC 9449, section 6.1)."""

    member: ClassVar[str] = "cnf"

    thumbprint: str
    """The SHA-256 thumbprint of the holder's public key (RFC 7638), in base64url."""

    def apply(self, claims: Claims) -> Claims:
        if claims.holder not in (None, self.thumbprint):
            raise widens("it would be bound to another key than its parent")
        return attrs.evolve(claims, holder=self.thumbprint)


@attrs.frozen
class Extension:
    """A caveat of somebody else's, which a validator knows by name or else refuses."""

    member: ClassVar[str] = "ext"

    name: str
    data: Json = attrs.field(default=None, hash=False)

    def apply(self, claims: Claims) -> Claims:
        return attrs.evolve(claims, extensions=(*claims.extensions, self))


Caveat: TypeAlias = (
    OnlyPermissions
    | OnlyUntainted
    | ExpiresAt
    | NotBefore
    | OnlyDuring
    | OnlyAudience
    | MaxDepth
    | MaxBudget
    | MaxRate
    | OnlyHolder
    | Extension
)
"""Every caveat that there is."""

# Permissions before what moves them, both ends of a life before the windows held against it.
_ORDER: Final[tuple[type[Caveat], ...]] = (
    OnlyPermissions,
    OnlyUntainted,
    ExpiresAt,
    NotBefore,
    OnlyDuring,
    OnlyAudience,
    MaxDepth,
    MaxBudget,
    MaxRate,
    OnlyHolder,
    Extension,
)
_RANKS: Final = {kind.member: rank for rank, kind in enumerate(_ORDER)}


def narrowed(
    claims: Claims, caveats: Iterable[Caveat], hierarchy: ActionHierarchy = NO_IMPLICATIONS
) -> Claims:
    """Return `claims` under further caveats, in an order that does not depend on theirs.

    Limits and times of the result are for `validate_claims` to judge.

    Raises:
        TokenRefusedError: A caveat would allow what the claims do not, or is not well-formed.
    """
    for caveat in sorted(caveats, key=_rank):
        if isinstance(caveat, OnlyPermissions):
            claims = caveat.apply(claims, hierarchy)
        else:
            claims = caveat.apply(claims)
    return claims


def widens(rule: str, needed: str = "") -> TokenRefusedError:
    """Make the refusal of a child that would be allowed more than its parent."""
    return TokenRefusedError.of(Denial(code="capability.widens", rule=rule, needed=needed))


def _rank(caveat: Caveat) -> int:
    return _RANKS[caveat.member]


def _check_within(texts: tuple[str, ...], *sets: PermissionSet) -> None:
    for text in texts:
        permission = _permission(text)
        if all(granting.covers(permission) is None for granting in sets):
            raise widens("a permission is not among the parent's", needed=permission.text)


def _parsed(texts: tuple[str, ...], hierarchy: ActionHierarchy) -> PermissionSet:
    return PermissionSet(tuple([_permission(text) for text in texts]), hierarchy)


def _permission(text: str) -> Permission:
    try:
        return Permission.parse(text)
    except PermissionSyntaxError as error:
        raise _ill_formed(f"a permission is not in the grammar: {error.message}") from error


def _ill_formed(rule: str) -> TokenRefusedError:
    return TokenRefusedError.of(Denial(code="capability.bad_claims", rule=rule))
