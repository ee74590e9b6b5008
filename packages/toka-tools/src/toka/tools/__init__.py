"""Tools for agents: a registry, JSON Schema checks, and built-in file, command and HTTP tools."""

from toka.tools._context import Grants, ToolContext, Workspace
from toka.tools._disclosure import Disclosure
from toka.tools._errors import (
    AccessDeniedError,
    AddressDeniedError,
    AlreadyRegisteredError,
    CommandDeniedError,
    CommandStartError,
    FileAccessError,
    FileMissingError,
    HttpRequestError,
    InvalidArgumentsError,
    InvalidManifestError,
    InvalidToolError,
    NoPersonError,
    NotesError,
    PageNotTextError,
    PathChangedError,
    PathDeniedError,
    PersonDeclinedError,
    QueryError,
    RemoteToolError,
    RepositoryError,
    SandboxUnavailableError,
    TextNotThereError,
    ToolError,
    ToolTimeoutError,
    UnknownToolError,
    WrongFileTypeError,
)
from toka.tools._function import FunctionTool, tool
from toka.tools._person import AsksPerson, CallbackPerson, Person, Question
from toka.tools._registry import (
    ENTRY_POINT_GROUP,
    ToolRegistry,
    ToolSource,
    installed_tools,
    load_installed,
)
from toka.tools._resource_limits import ResourceLimits
from toka.tools._result import ToolFailure, ToolResult
from toka.tools._tool import Tool, VariableEffect, effect_of
from toka.tools.files._paths import path_request
from toka.tools.manifests import ManifestDirectory, load_tool
from toka.tools.manifests._manifest import (
    LoadedManifest,
    ToolManifest,
    load_manifest,
    parse_manifest,
)
from toka.tools.notes import FileNotes, MemoryNotes, Note, Notes
from toka.tools.sandbox import SandboxLevel, SandboxPolicy
from toka.types import SideEffect

__all__ = [
    "ENTRY_POINT_GROUP",
    "AccessDeniedError",
    "AddressDeniedError",
    "AlreadyRegisteredError",
    "AsksPerson",
    "CallbackPerson",
    "CommandDeniedError",
    "CommandStartError",
    "Disclosure",
    "FileAccessError",
    "FileMissingError",
    "FileNotes",
    "FunctionTool",
    "Grants",
    "HttpRequestError",
    "InvalidArgumentsError",
    "InvalidManifestError",
    "InvalidToolError",
    "LoadedManifest",
    "ManifestDirectory",
    "MemoryNotes",
    "NoPersonError",
    "Note",
    "Notes",
    "NotesError",
    "PageNotTextError",
    "PathChangedError",
    "PathDeniedError",
    "Person",
    "PersonDeclinedError",
    "QueryError",
    "Question",
    "RemoteToolError",
    "RepositoryError",
    "ResourceLimits",
    "SandboxLevel",
    "SandboxPolicy",
    "SandboxUnavailableError",
    "SideEffect",
    "TextNotThereError",
    "Tool",
    "ToolContext",
    "ToolError",
    "ToolFailure",
    "ToolManifest",
    "ToolRegistry",
    "ToolResult",
    "ToolSource",
    "ToolTimeoutError",
    "UnknownToolError",
    "VariableEffect",
    "Workspace",
    "WrongFileTypeError",
    "effect_of",
    "installed_tools",
    "load_installed",
    "load_manifest",
    "load_tool",
    "parse_manifest",
    "path_request",
    "tool",
]
