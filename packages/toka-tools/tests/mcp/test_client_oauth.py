"""Tokens by OAuth: who is told the client's secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import pytest

from toka.tools.http._client import Exchange
from toka.tools.mcp.client import AuthorizationError
from toka.tools.mcp.client._authorizer import Challenge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools.http._url import Target
    from toka.types import Json

pytest.importorskip("mcp", reason="needs the extra toka-tools[mcp]")

from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider

from toka.tools.mcp.client import _oauth

SERVER, ISSUER = "https://tools.example/mcp", "https://auth.example"
CHALLENGE = Challenge(401, {"www-authenticate": "Bearer"}, None, "2026-07-28")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Give what goes through the flow against what servers say, and returns who saw the secret."""

    def flow(*, issuer: str = ISSUER, token: str = f"{ISSUER}/token") -> list[str]:
        seen: list[str] = []

        async def exchange(
            _method: str,
            target: Target,
            headers: Mapping[str, str],
            _body: bytes,
            *,
            allows: object,
            limit: int,
        ) -> Exchange:
            assert callable(allows)
            assert limit
            if any(name.lower() == "authorization" for name in headers):
                seen.append(target.url)
                return answer({"access_token": "abc", "token_type": "Bearer"})
            if "protected-resource" in target.path:
                return answer({"resource": SERVER, "authorization_servers": [issuer]})
            ends = {"authorization_endpoint": f"{issuer}/ask", "token_endpoint": token}
            return answer({"issuer": issuer, "response_types_supported": ["code"], **ends})

        monkeypatch.setattr(_oauth, "exchange", exchange)
        provider = ClientCredentialsOAuthProvider(
            server_url=SERVER,
            storage=_oauth.MemoryTokens(),
            client_id="me",
            client_secret="hush",  # noqa: S106 - nobody's
            issuer=ISSUER,
        )
        authorizer = _oauth.OAuthAuthorizer(provider, SERVER)
        try:
            assert anyio.run(authorizer.answer, CHALLENGE)
        finally:
            flow.seen = seen  # type: ignore[attr-defined]
        return seen

    return flow


def answer(said: Json) -> Exchange:
    kind = {"content-type": "application/json"}
    return Exchange(200, kind, json.dumps(said).encode(), truncated=False)


def test_a_token_is_got_where_the_issuer_says(told) -> None:
    assert told() == [f"{ISSUER}/token"]


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"},
        {"issuer": "https://evil.example", "token": f"{ISSUER}/token"},
        {"token": "http://auth.example/token"},
    ],
)
def test_the_secret_goes_to_no_other_issuer_and_never_unencrypted(told, said) -> None:
    with pytest.raises(AuthorizationError):
        told(**said)
    assert told.seen == []
