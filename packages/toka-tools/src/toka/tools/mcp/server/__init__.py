"""A registry's tools as a server of the Model Context Protocol, over stdio and streamable HTTP."""

from toka.tools.mcp.server._catalogue import DeclaresActions, DescribesResult
from toka.tools.mcp.server._conversation import Conversation, LogLevel, conversation
from toka.tools.mcp.server._host import ServerOptions
from toka.tools.mcp.server._http import HttpFace, HttpOptions, serve_http
from toka.tools.mcp.server._offers import Completions, Prompts, Resources
from toka.tools.mcp.server._principals import (
    Gate,
    NotAdmittedError,
    OpenGate,
    Principal,
    TokenGate,
)
from toka.tools.mcp.server._questions import Question
from toka.tools.mcp.server._results import ContentResult
from toka.tools.mcp.server._server import McpServer
from toka.tools.mcp.server._stdio import serve_stdio

__all__ = [
    "Completions",
    "ContentResult",
    "Conversation",
    "DeclaresActions",
    "DescribesResult",
    "Gate",
    "HttpFace",
    "HttpOptions",
    "LogLevel",
    "McpServer",
    "NotAdmittedError",
    "OpenGate",
    "Principal",
    "Prompts",
    "Question",
    "Resources",
    "ServerOptions",
    "TokenGate",
    "conversation",
    "serve_http",
    "serve_stdio",
]
