"""Which servers there are, how they are reached, and what their tools may do.

    [servers.files]
    command = "mcp-server-filesystem"
    args = ["/data"]
    sandbox = "landlock"
    grants = ["fs:read:/data/**"]

    [servers.files.tools.read_text_file]
    effect = "read_only"
    requests = ["fs:read:{path}"]

    [servers.tracker]
    url = "https://tracker.example/mcp"
    bearer_env = "TRACKER_TOKEN"

What a server says of its own tools is not trusted: effect, taint and permissions are said here. A
key that is not known is an error and not passed over, for it may have been meant to restrict.
Secrets are named, never written: `env_from` and `bearer_env` name variables of this process.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, cast

import msgspec

from toka.tools.mcp.client._errors import InvalidServerError
from toka.tools.sandbox import SandboxLevel
from toka.types import JsonObject, SideEffect

MAX_CONFIG_BYTES: Final = 1 << 20

_SERVER_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_MAX_SERVER_NAME: Final = 24

_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
_Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Effect: TypeAlias = Literal["none", "read_only", "idempotent", "external", "privileged"]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is read with no name too many."""


class ToolRules(_Strict, frozen=True):
    """What is known of one tool, by the operator and not by its server."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,63}$")] | None = None
    """What it is called here; else it is made of both names."""
    effect: _Effect | None = None
    """What one more call would do; else the server's `effect`."""
    taints: bool | None = None
    """Whether its results are data from outside; else the server's `taints`."""
    requests: tuple[_Text, ...] = ()
    """Permissions that a call needs besides, with arguments in braces: `fs:read:{path}`."""


class Authorization(_Strict, frozen=True, kw_only=True):
    """How a token is got by OAuth 2.1 where none is configured."""

    grant: Literal["client_credentials"] = "client_credentials"
    issuer: _Text
    """The only authorization server that is told the secret."""
    client_id: _Text
    client_secret_env: _Text
    scope: str | None = None


class ServerConfig(_Strict, frozen=True):
    """One server: a command to run, or a URL to reach."""

    command: _Text | None = None
    """A bare name, or an absolute path."""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    env_from: tuple[_Text, ...] = ()
    """Variables of this process that the command is given too."""
    cwd: _Text | None = None
    sandbox: Literal["none", "limits", "landlock", "namespaces"] | None = None
    """`limits` unless it is said; then `grants` and `network = false` want it said."""
    readable: tuple[_Text, ...] = ()
    """What the command may read and run beside the system's programs, if it is confined."""
    grants: tuple[_Text, ...] = ()
    """Permissions on files that the command's own sandbox opens."""
    network: bool | None = None
    """Whether the command's sandbox has a network; one that confines has none unless it is said."""
    memory_bytes: Annotated[int, msgspec.Meta(ge=1 << 20)] | None = None
    """Address space of each of its processes."""

    url: _Text | None = None
    headers: dict[str, str] = {}
    bearer_env: _Text | None = None
    """The variable of this process that holds a token."""
    authorization: Authorization | None = None
    private: bool = False
    """Whether the URL's host may have an address that is not public."""

    revision: Literal["auto", "2026-07-28", "2025-11-25"] = "auto"
    effect: _Effect = "external"
    taints: bool = True
    only: tuple[_Text, ...] | None = None
    """The server's names of the tools that are looked at; all by default."""
    tools: dict[str, ToolRules] = {}
    timeout: _Seconds = 60.0
    """Of beginning a connection, with logging in where a person has to, and of each listing."""
    max_message_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=1 << 30)] = 8 << 20
    """Of one message from the server, before it is parsed."""

    def __post_init__(self) -> None:
        if (self.command is None) == (self.url is None):
            raise ValueError("a server has a `command` or a `url`, and not both")
        if self.url is None and (self.bearer_env or self.authorization or self.headers):
            raise ValueError("only a server with a `url` takes headers and tokens")
        if self.bearer_env and self.authorization:
            raise ValueError("a token is in `bearer_env` or got by `authorization`, not both")
        if self.command is None and (self.sandbox or self.readable or self.restrictions):
            raise ValueError("only a server with a `command` has a sandbox here")
        if self.sandbox is None and self.restrictions:
            raise ValueError(
                f"{self.restrictions} is held only by a sandbox of level landlock or namespaces;"
                ' say `sandbox = "landlock"`, or `sandbox = "limits"` to run it without'
            )

    def __repr__(self) -> str:
        # Not all of it: variables and headers may hold what is nobody's business.
        return f"ServerConfig({self.command or self.url!r})"

    @property
    def level(self) -> SandboxLevel:
        """The sandbox of a command."""
        return SandboxLevel(self.sandbox or "limits")

    @property
    def restrictions(self) -> str:
        """What is said that only a level that confines can hold; empty where nothing is."""
        said = {"`grants`": bool(self.grants), "`network = false`": self.network is False}
        return " and ".join([name for name, is_said in said.items() if is_said])

    def rules_for(self, tool: str) -> ToolRules:
        """Return what is known of a tool, by its server's name for it."""
        return self.tools.get(tool, _NO_RULES)

    def effect_of(self, tool: str) -> SideEffect:
        """Return what one more call of a tool would do."""
        return self.rules_for(tool).effect or self.effect

    def taints_of(self, tool: str) -> bool:
        """Say whether results of a tool are data from outside."""
        taints = self.rules_for(tool).taints
        return self.taints if taints is None else taints

    def environment(self) -> dict[str, str]:
        """Return the variables for the command.

        Raises:
            InvalidServerError: One that should come from this process is not set.
        """
        return {**{name: secret_of(name) for name in self.env_from}, **self.env}


_NO_RULES: Final = ToolRules()


class ServersConfig(_Strict, frozen=True):
    """A whole file."""

    servers: dict[str, ServerConfig] = {}

    def __post_init__(self) -> None:
        for name in self.servers:
            check_server_name(name)


def check_server_name(name: str) -> str:
    """Return the name of a server, which is the first part of the names of its tools.

    Raises:
        InvalidServerError: It cannot be one.
    """
    if len(name) > _MAX_SERVER_NAME or not _SERVER_NAME.fullmatch(name):
        raise InvalidServerError(
            f"{name[:40]!r} cannot name a server.",
            hint="Use lower case letters and digits, with single '_' between, 24 at most.",
        )
    return name


def secret_of(variable: str) -> str:
    """Return what a variable of this process holds.

    Raises:
        InvalidServerError: It is not set.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise InvalidServerError(f"The environment variable {variable} is not set.")
    return value


def load_servers(path: str | Path) -> dict[str, ServerConfig]:
    """Read servers from a TOML or YAML file.

    Raises:
        InvalidServerError: The file cannot be read, or says something that is not known.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise InvalidServerError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise InvalidServerError(f"{path} is longer than {MAX_CONFIG_BYTES} bytes.")
    return parse_servers(_document(data, Path(path)), str(path))


def parse_servers(document: object, source: str = "servers") -> dict[str, ServerConfig]:
    """Read servers from what a file held.

    Raises:
        InvalidServerError: It says something that is not known.
    """
    try:
        return msgspec.convert(document, ServersConfig).servers
    except msgspec.ValidationError as error:
        raise InvalidServerError(f"{source}: {str(error).rstrip('.')}.") from error


def servers_schema() -> JsonObject:
    """Return the JSON Schema of the file."""
    (reference,), components = msgspec.json.schema_components(
        [ServersConfig], ref_template="#/$defs/{name}"
    )
    servers = components["ServersConfig"]["properties"]["servers"]
    servers["propertyNames"] = {
        "pattern": f"^{_SERVER_NAME.pattern}$",
        "maxLength": _MAX_SERVER_NAME,
    }
    components["ServerConfig"]["oneOf"] = _ONE_WAY_TO_REACH
    title = "MCP servers"
    return cast("JsonObject", {**reference, "$defs": components, "title": title})


# What `ServerConfig` says in words when it is made.
_TEXT: Final = {"type": "string"}
_NOT_THERE: Final = {"type": "null"}
_NONE: Final = {"maxItems": 0}
_ONE_WAY_TO_REACH: Final = [
    {
        "required": ["command"],
        "properties": {
            "command": _TEXT,
            "url": _NOT_THERE,
            "headers": {"maxProperties": 0},
            "bearer_env": _NOT_THERE,
            "authorization": _NOT_THERE,
        },
        "anyOf": [
            {"required": ["sandbox"], "properties": {"sandbox": _TEXT}},
            {"properties": {"grants": _NONE, "network": {"enum": [True, None]}}},
        ],
    },
    {
        "required": ["url"],
        "properties": {
            "url": _TEXT,
            "command": _NOT_THERE,
            "sandbox": _NOT_THERE,
            "readable": _NONE,
            "grants": _NONE,
            "network": {"enum": [True, None]},
        },
        "anyOf": [
            {"properties": {"bearer_env": _NOT_THERE}},
            {"properties": {"authorization": _NOT_THERE}},
        ],
    },
]


def _document(data: bytes, path: Path) -> object:
    if path.suffix == ".toml":
        try:
            return tomllib.loads(data.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidServerError(f"{path} is not TOML: {error}.") from error
    from toka.tools.manifests._yaml import YamlError, load_yaml  # noqa: PLC0415 - an extra

    try:
        return load_yaml(data)
    except YamlError as error:
        raise InvalidServerError(f"{path}{error}") from error
