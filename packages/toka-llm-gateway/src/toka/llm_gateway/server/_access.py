"""Who may ask which model, and what that may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.llm_gateway._errors import NotAllowed, NotAuthenticated
from toka.llm_gateway.server._ledger import Account
from toka.types import Budget, TokaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.capability.core import Claims

LOCAL: Final = "local"


class Tenant(Protocol):
    """Somebody who was let in."""

    @property
    def name(self) -> str:
        """Whose calls these are, in the audit."""
        ...

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All that each call is debited from."""
        ...

    def may_call(self, model: str) -> bool:
        """Say whether a model may be asked, by the name that is served."""
        ...


class Access(Protocol):
    """Lets callers in."""

    async def admit(self, credential: str | None) -> Tenant:
        """Return who presents a credential: a bearer token or an `x-api-key`.

        Raises:
            NotAuthenticated: It is missing or not accepted.

        """
        ...


@attrs.frozen
class LocalTenant:
    """Whoever can reach the server."""

    name: str = LOCAL
    accounts: tuple[Account, ...] = ()

    def may_call(self, model: str) -> bool:
        del model
        return True


class OpenAccess:
    """Lets everybody in, without limits. For one user's own machine."""

    async def admit(self, credential: str | None) -> Tenant:
        del credential
        return LocalTenant()


@attrs.frozen
class CapabilityTenant:
    """The bearer of a capability token."""

    claims: Claims
    accounts: tuple[Account, ...]

    @property
    def name(self) -> str:
        return self.claims.subject

    def may_call(self, model: str) -> bool:
        from toka.capability.core import quote_resource  # noqa: PLC0415 - only for tokens

        request = f"model:call:{quote_resource(model)}"
        return self.claims.granted.covers(request) is not None


class CapabilityAccess:
    """Lets in who presents a capability token, for what it allows.

    A model is asked under the permission `model:call:NAME`. The token's budget, and that of every
    token that it was narrowed from, is debited.
    """

    def __init__(self, authenticate: Callable[[str], Claims]) -> None:
        """Prepare to admit.

        Args:
            authenticate: Returns the claims of a good token and raises a `TokaError` for any other,
                as `toka.auth.Authenticator.authenticate` does.

        """
        self._authenticate: Final = authenticate

    async def admit(self, credential: str | None) -> Tenant:
        if not credential:
            raise NotAuthenticated(
                "A capability token is needed.",
                hint="Send it as the API key: `Authorization: Bearer TOKEN` or `x-api-key`.",
            )
        try:
            claims = self._authenticate(credential)
        except TokaError:
            # Why it was refused is for the audit of whoever checks tokens, not for the caller.
            refused = NotAuthenticated("The token is not accepted.")
        else:
            return CapabilityTenant(claims, _accounts(claims))
        raise refused


def _accounts(claims: Claims) -> tuple[Account, ...]:
    return tuple(
        [Account(hop.token_id, Budget(**dict(hop.budget))) for hop in claims.accounts if hop.budget]
    )


def check_allowed(tenant: Tenant, model: str) -> None:
    """Check that a tenant may ask a model.

    Raises:
        NotAllowed: He may not.

    """
    if not tenant.may_call(model):
        raise NotAllowed(
            f"The token does not allow calling the model {model[:80]!r}.",
            hint=f"It needs the permission model:call:{model[:80]}.",
        )
