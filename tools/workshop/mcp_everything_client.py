"""The client that the protocol's conformance suite tests: each scenario, played with `McpClient`.

The suite names the scenario in MCP_CONFORMANCE_SCENARIO, gives what it needs as JSON in
MCP_CONFORMANCE_CONTEXT, and appends the URL of its server to the command.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, urlsplit

import aiohttp
import anyio
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
)
from pydantic import AnyUrl

from toka.capability.core import PermissionSet
from toka.tools import ToolContext, ToolError, Workspace
from toka.tools.mcp.client import Answer, McpClient, Pins, Question, RemoteTool, ServerConfig
from toka.tools.mcp.client._oauth import MemoryTokens, OAuthAuthorizer
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools.mcp.client import Authorizer
    from toka.types import Json, JsonObject

CALLBACK = "http://localhost:3000/callback"
CIMD = "https://conformance-test.local/client-metadata.json"


def given() -> dict[str, object]:
    return cast("dict[str, object]", json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")))


async def say_yes(question: Question) -> Answer:
    """Accept, with the values that the server proposes, and a yes where it proposes none."""
    properties = cast("dict[str, dict[str, Json]]", question.schema.get("properties", {}))
    content: dict[str, Json] = {
        name: schema.get("default", True)
        for name, schema in properties.items()
        if "default" in schema or schema.get("type") == "boolean"
    }
    return Answer("accept", content)


class Browser:
    """A person at a browser, who agrees to everything at once."""

    def __init__(self) -> None:
        self.query: dict[str, list[str]] = {}

    async def visit(self, url: str) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, allow_redirects=False) as response,
        ):
            self.query = parse_qs(urlsplit(response.headers["Location"]).query)

    async def come_back(self) -> AuthorizationCodeResult:
        values = {name: several[0] for name, several in self.query.items()}
        return AuthorizationCodeResult(
            code=values["code"], state=values.get("state"), iss=values.get("iss")
        )


def machine_authorizer(url: str) -> Authorizer | None:
    """Return what gets tokens without a person, if the suite gives what that takes."""
    context = given()
    name, client = str(context.get("name", "")), str(context.get("client_id", ""))
    if name.endswith("client-credentials-basic"):
        secret = str(context["client_secret"])
        # The suite does not say beforehand which issuer it will be.
        basic = ClientCredentialsOAuthProvider(url, MemoryTokens(), client, secret)
        return OAuthAuthorizer(basic, url)
    if name.endswith("client-credentials-jwt"):
        signed = SignedJWTParameters(
            issuer=client,
            subject=client,
            signing_algorithm=str(context.get("signing_algorithm", "ES256")),
            signing_key=str(context["private_key_pem"]),
        )
        keyed = PrivateKeyJWTOAuthProvider(
            url, MemoryTokens(), client, signed.create_assertion_provider()
        )
        return OAuthAuthorizer(keyed, url)
    return None


async def authorizer(url: str) -> Authorizer:
    machine = machine_authorizer(url)
    if machine is not None:
        return machine
    context, tokens, browser = given(), MemoryTokens(), Browser()
    client_id, secret = context.get("client_id"), context.get("client_secret")
    if isinstance(client_id, str):
        await tokens.set_client_info(
            OAuthClientInformationFull(
                client_id=client_id,
                client_secret=cast("str | None", secret),
                redirect_uris=[AnyUrl(CALLBACK)],
                token_endpoint_auth_method="client_secret_basic" if secret else "none",
            )
        )
    provider = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="toka-conformance",
            redirect_uris=[AnyUrl(CALLBACK)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        ),
        storage=tokens,
        redirect_handler=browser.visit,
        callback_handler=browser.come_back,
        client_metadata_url=CIMD,
    )
    return OAuthAuthorizer(provider, url)


def calls_of(scenario: str, tools: dict[str, RemoteTool]) -> list[tuple[str, JsonObject]]:
    """Return the calls that a scenario wants: what the suite says, or every tool once."""
    wanted = given().get("toolCalls")
    if isinstance(wanted, list):
        calls = cast("list[dict[str, object]]", wanted)
        return [(str(one["name"]), cast("JsonObject", one["arguments"])) for one in calls]
    if scenario == "json-schema-2020-12-preservation":
        focal = tools["json_schema_2020_12_tool"]
        echoing = next(name for name in tools if name != focal.definition.name)
        return [(echoing, {"schema": focal.parameters})]
    if scenario == "tools_call":
        return [("add_numbers", {"a": 5, "b": 3})]
    return [(name, arguments_for(tool.parameters)) for name, tool in tools.items()]


def arguments_for(schema: JsonObject) -> JsonObject:
    examples: dict[str, Json] = {"string": "x", "integer": 1, "number": 1, "boolean": True}
    properties = cast("dict[str, dict[str, Json]]", schema.get("properties", {}))
    return {name: examples.get(str(one.get("type")), "x") for name, one in properties.items()}


async def play(scenario: str, url: str, root: str) -> None:
    revision = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "auto")
    config = ServerConfig(
        url=url,
        revision="2025-11-25" if revision == "2025-11-25" else "auto",
        effect="none",
        timeout=120.0,
    )
    workspace = Workspace(root)
    client = McpClient("conformance", config, workspace, ask_person=say_yes)
    if scenario.startswith("auth/"):
        client.authorizer = await authorizer(url)
    async with client:
        offers = await client.offers()
        client.pins = Pins().approve(one.definition for one in offers if one.definition)
        tools = {tool.definition.name: tool for tool in client.tools()}
        await client.refresh()
        granted = PermissionSet.parse(["mcp:call:conformance/**"])
        context = ToolContext(workspace, granted, timeout_ns=120 * NANOSECONDS)
        for name, arguments in calls_of(scenario, tools):
            try:
                await tools[name].call(arguments, context)
            except ToolError as error:
                print(f"{name}: {error.code}: {error}", file=sys.stderr)


def main() -> None:
    scenario, url = os.environ.get("MCP_CONFORMANCE_SCENARIO", "initialize"), sys.argv[-1]
    with tempfile.TemporaryDirectory() as root:
        try:
            anyio.run(play, scenario, url, root)
        except ToolError as error:
            print(f"{error.code}: {error}", file=sys.stderr)
            raise SystemExit(1) from error


if __name__ == "__main__":
    main()
