"""The endpoints of tokens of a service: exchange, introspection, revocation, public keys."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from toka.auth import ApiKeyValidator, Authenticator, Endpoints, HttpFetch, OutsideValidator
from toka.types import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from toka.cli._host import Host
    from toka.cli._identities import Identities


@asynccontextmanager
async def open_endpoints(host: Host, identities: Identities) -> AsyncGenerator[Endpoints, None]:
    """Answer for the tokens of a host, and exchange what the operator's identities present."""
    from aiohttp import ClientSession  # noqa: PLC0415 - slow to import

    clock, access = SystemClock(), host.access
    async with ClientSession() as session:
        fetch = HttpFetch(session)
        outside = [OutsideValidator(issuer, fetch, clock) for issuer in identities.issuers]
        yield Endpoints(
            authenticator=access.authenticator,
            # A credential from outside can be taken back by the name that it is known by here.
            identities=Authenticator(
                [*outside, ApiKeyValidator(identities.api_keys, clock)],
                clock,
                revoked=access.revocations,
            ),
            issuer=host.keys.issuer,
            clock=clock,
            revocations=access.revocations,
            exchanged_seconds=identities.exchanged_seconds,
        )
