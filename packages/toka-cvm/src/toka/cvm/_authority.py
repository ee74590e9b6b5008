"""What a guest may do, asked again before every host call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import (
    ANY_ACTION,
    Denial,
    PermissionSet,
    PermissionSyntaxError,
    TokenRefusedError,
    check_moment,
    quote_resource,
)
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.capability.core import Claims, ExtensionRule
    from toka.types import Clock


def _stands() -> Denial | None:
    return None


@attrs.frozen
class Authority:
    """Permissions, and a question that is asked again before every host call.

    Attributes:
        permissions: What is granted.
        lost: Returns why the capability no longer holds, or None while it does.
    """

    permissions: PermissionSet
    lost: Callable[[], Denial | None] = _stands
    agrees: Callable[[str], bool] | None = None
    """Asked besides, at every use, with what the permissions cover, as `fs:read:/data/a.txt`."""
    follows_links: bool = True
    """Whether the directories of its permissions may be reached by symbolic links; beneath them,
    none is followed."""

    @classmethod
    def of(
        cls,
        claims: Claims,
        clock: Clock,
        *,
        revoked: Callable[[Claims], Denial | None] | None = None,
        tainted: bool = False,
    ) -> Authority:
        """Build from claims that a validator has verified.

        Args:
            claims: Verified claims. Extensions that the validator knew are not judged again.
            clock: Tells whether they have expired.
            revoked: Asked before every host call; a `Denial` ends the guest.
            tainted: Whether what the guest is given came from outside; then permissions that
                demand `untainted` do not count.
        """
        texts = claims.permissions if tainted else (*claims.permissions, *claims.untainted)
        known = {one.name: _no_objection for one in claims.extensions}
        return cls(PermissionSet.parse(texts), _lost(claims, clock, revoked, known))

    @classmethod
    def parse(cls, *permissions: str) -> Authority:
        """Build from permissions as text, which hold for ever.

        Raises:
            PermissionSyntaxError: A text is not a permission.
        """
        return cls(PermissionSet.parse(permissions))

    def allows(self, domain: str, action: str, resource: str) -> bool:
        """Say whether one thing is granted; what cannot be written as a resource is not.

        Args:
            domain: For example `fs`.
            action: For example `read`.
            resource: Any text; it is quoted here.
        """
        try:
            return self._grants(f"{domain}:{action}:{quote_resource(resource)}")
        except PermissionSyntaxError:
            return False

    def allows_url(self, method: str, url: str) -> bool:
        """Say whether a request over the network is granted; a URL is quoted already."""
        try:
            return self._grants(f"net:{method.lower()}:{url.partition('?')[0]}")
        except PermissionSyntaxError:
            return False

    def _grants(self, wish: str) -> bool:
        covered = self.permissions.covers(wish) is not None
        return covered and (self.agrees is None or self.agrees(wish))

    def allows_some(self, domain: str, actions: tuple[str, ...]) -> bool:
        """Say whether anything at all is granted in a domain, by one of some actions."""
        return any(
            one.domain == domain
            and (not actions or one.action == ANY_ACTION or one.action in actions)
            for one in self.permissions
        )


NOTHING_GRANTED: Final = Authority(PermissionSet())
"""What a guest may do that may only compute."""


def _lost(
    claims: Claims,
    clock: Clock,
    revoked: Callable[[Claims], Denial | None] | None,
    extensions: Mapping[str, ExtensionRule],
) -> Callable[[], Denial | None]:
    def lost() -> Denial | None:
        try:
            check_moment(claims, clock.now() // NANOSECONDS, extensions=extensions)
        except TokenRefusedError as error:
            return error.denial
        return None if revoked is None else revoked(claims)

    return lost


def _no_objection(_data: object, _claims: Claims, _now: int) -> Denial | None:
    return None
