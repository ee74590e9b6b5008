"""Tools of other servers, over the Model Context Protocol, with capabilities in front."""

from toka.tools.mcp.client._asking import Answer, AskPerson, Question
from toka.tools.mcp.client._authorizer import Authorizer, BearerToken, Challenge
from toka.tools.mcp.client._client import McpClient, Offer
from toka.tools.mcp.client._config import (
    Authorization,
    ServerConfig,
    ToolRules,
    load_servers,
    parse_servers,
    servers_schema,
)
from toka.tools.mcp.client._definition import Definition, differences, local_name
from toka.tools.mcp.client._errors import (
    AuthorizationError,
    DefinitionChangedError,
    HttpStatusError,
    InvalidResultError,
    InvalidServerError,
    NotApprovedError,
    SessionEndedError,
    UnusableDefinitionError,
)
from toka.tools.mcp.client._host import McpHost
from toka.tools.mcp.client._pins import Pins
from toka.tools.mcp.client._remote_tool import RemoteTool

__all__ = [
    "Answer",
    "AskPerson",
    "Authorization",
    "AuthorizationError",
    "Authorizer",
    "BearerToken",
    "Challenge",
    "Definition",
    "DefinitionChangedError",
    "HttpStatusError",
    "InvalidResultError",
    "InvalidServerError",
    "McpClient",
    "McpHost",
    "NotApprovedError",
    "Offer",
    "Pins",
    "Question",
    "RemoteTool",
    "ServerConfig",
    "SessionEndedError",
    "ToolRules",
    "UnusableDefinitionError",
    "differences",
    "load_servers",
    "local_name",
    "parse_servers",
    "servers_schema",
]
