"""Tokens by OAuth 2.1, as the specification wants them (extra `toka-tools[mcp]`).

Which server gives tokens is found out by RFC 9728 and RFC 8414, the token is for this server alone
(RFC 8707), the code is proven by PKCE, and who answered is checked (RFC 9207). All of that is the
official SDK's, which is a state machine that asks for requests to be made. They are made here: to
addresses that were checked, with a limit to the answers, and without a lock around a tool's call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

import attrs
import httpx2
from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from pydantic import ValidationError

from toka.tools._errors import ToolError
from toka.tools.http._addresses import is_public
from toka.tools.http._client import exchange
from toka.tools.http._url import parse_target
from toka.tools.mcp._revisions import HEADER_REVISION
from toka.tools.mcp.client._config import secret_of
from toka.tools.mcp.client._errors import AuthorizationError, InvalidServerError
from toka.tools.mcp.client._http import addresses_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

    from toka.tools.mcp.client._authorizer import Authorizer, Challenge
    from toka.tools.mcp.client._config import ServerConfig

MAX_ANSWER_BYTES: Final = 1 << 20
MAX_REQUESTS: Final = 20
_HOP_HEADERS: Final = frozenset({"host", "content-length", "connection", "accept-encoding"})


class Provider(Protocol):
    """The part of the SDK's OAuth providers that is used."""

    def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Give requests to be made, and take their responses."""
        ...


@attrs.define
class MemoryTokens:
    """Keeps a client's tokens as long as the process lives."""

    _tokens: OAuthToken | None = attrs.field(default=None, repr=False)
    _client: OAuthClientInformationFull | None = attrs.field(default=None, repr=False)

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens, if there are any."""
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep tokens."""
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return what the client is registered as, if it is."""
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep what the client is registered as."""
        self._client = client_info


@attrs.define(eq=False)
class OAuthAuthorizer:
    """Gets tokens with one of the official SDK's providers.

    Attributes:
        provider: Any of them: `mcp.client.auth.OAuthClientProvider` has a person log in.
        url: The server's URL.
        private: Whether its host may have an address that is not public.
    """

    provider: Provider = attrs.field(repr=False)
    url: str
    private: bool = False
    _token: str | None = attrs.field(default=None, init=False, repr=False)

    async def authorization(self) -> str | None:
        """Return the value of the header `Authorization` that was accepted last."""
        return self._token

    async def answer(self, challenge: Challenge) -> bool:
        """Go through the flow until there is another token; say whether there is.

        Raises:
            AuthorizationError: The flow failed.
        """
        request = httpx2.Request("POST", self.url, headers={HEADER_REVISION: challenge.revision})
        flow = self.provider.async_auth_flow(request)
        try:
            return await self._run(flow, request, challenge)
        except (OAuthFlowError, OAuthTokenError, OAuthRegistrationError, ValidationError) as error:
            # Without the text, which may hold what the other side sent.
            raise AuthorizationError(
                f"No token was got for the server: {type(error).__name__}.",
                details={"error": type(error).__name__},
            ) from error
        finally:
            await flow.aclose()

    async def _run(
        self,
        flow: AsyncGenerator[httpx2.Request, httpx2.Response],
        request: httpx2.Request,
        challenge: Challenge,
    ) -> bool:
        told = False
        try:
            wanted = await anext(flow)
            for _ in range(MAX_REQUESTS):
                if wanted is not request:
                    response = await self._fetch(wanted)
                elif told or self._is_another(request, challenge):
                    self._token = request.headers.get("Authorization")
                    return True
                else:
                    # The first is the request that was refused already; it is not made again.
                    told = True
                    response = httpx2.Response(
                        challenge.status, headers=dict(challenge.headers), request=request
                    )
                wanted = await flow.asend(response)
        except StopAsyncIteration:
            return False
        raise AuthorizationError(f"No token after {MAX_REQUESTS} requests.")

    def _is_another(self, request: httpx2.Request, challenge: Challenge) -> bool:
        token = request.headers.get("Authorization")
        return token is not None and token != challenge.sent

    async def _fetch(self, wanted: httpx2.Request) -> httpx2.Response:
        try:
            target = parse_target(str(wanted.url))
            server = parse_target(self.url)
            # What is told there is the client's secret (RFC 6749, section 2.3.1).
            if server.scheme == "https" and target.scheme == "http":
                raise AuthorizationError(
                    f"No token is asked for without encryption: {target.origin}."
                )
            # What a server names must not lead into this network, unless it is the server itself.
            own = target.host == server.host
            allows = addresses_of(target, private=self.private) if own else is_public
            kept = {k: v for k, v in wanted.headers.items() if k.lower() not in _HOP_HEADERS}
            done = await exchange(
                wanted.method,
                target,
                {**kept, "Accept-Encoding": "identity"},
                wanted.content,
                allows=allows,
                limit=MAX_ANSWER_BYTES,
            )
        except ToolError as error:
            raise AuthorizationError(f"No token was got: {error.message}") from error
        headers = {name: value for name, value in done.headers.items() if name not in _HOP_HEADERS}
        headers.pop("content-encoding", None)
        return httpx2.Response(done.status, headers=headers, content=done.body, request=wanted)


def client_credentials(config: ServerConfig) -> OAuthAuthorizer:
    """Return what gets tokens for a program by its own secret, told to one issuer alone.

    Raises:
        InvalidServerError: The configuration does not say how.
    """
    wanted, url = config.authorization, config.url
    if wanted is None or url is None:
        raise InvalidServerError("A server without `authorization` has no tokens to be got.")
    provider = ClientCredentialsOAuthProvider(
        server_url=url,
        storage=MemoryTokens(),
        client_id=wanted.client_id,
        client_secret=secret_of(wanted.client_secret_env),
        scope=wanted.scope,
        issuer=wanted.issuer,
    )
    return OAuthAuthorizer(cast("Provider", provider), url, config.private)


if TYPE_CHECKING:
    _implements: type[Authorizer] = OAuthAuthorizer
