"""`service.toml`: what an operator says of a service. All of it may be left out.

`toka run`, `toka retry` and `toka tools` take [tools] and [[model]] from it, too.

    log_level = "warning"         # debug, info, warning or error
    agents = "specs"              # what sources of runs are relative to and inside of

    [limits]
    runs_at_once = 64             # further ones wait
    unfinished_runs = 1000        # further ones are refused

    [tools]
    allowed = ["read_file"]       # of the built-in and installed ones; all by default
    installed = ["name"]          # entry points of installed distributions
    manifests = ["tools"]         # directories of manifests; a change there is taken at once
    wasm = ["resize.json"]        # WebAssembly tools, by their manifests
    mcp = "servers.toml"          # MCP servers; their approved tools are in servers.toml.pins.json
    [[tools.openapi]]             # the operations of a document
    file = "pets.yaml"
    server = "https://pets.example/v1"      # the document's own by default
    security = {key = "pets-key"}           # scheme to TOKA_SECRET_PETS_KEY

    [[model]]                     # the first that answers; TOKA_LLM_* by default
    provider = "anthropic"
    name = "claude-sonnet-5-5"
    api_key_file = "/etc/toka/llm.key"      # or api_key_env = "NAME_OF_A_VARIABLE"

    [server]                      # holds from the next start
    host = "127.0.0.1"
    port = 8080

A name that is not known here is an error and not passed over: it may have been meant to restrict.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, cast

import msgspec

from toka.cli._errors import ServiceConfigUnusable
from toka.cli._toolbox import OTHERS_MAY_WRITE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway import Model

MAX_BYTES: Final = 1_048_576
LOG_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
_Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is read with no name too many."""


class Limits(_Strict, frozen=True):
    """How much goes on."""

    runs_at_once: _Count = 64
    unfinished_runs: _Count = 1_000


class OpenApiDocument(_Strict, frozen=True):
    """A document whose operations are tools."""

    file: _Text
    server: str = ""
    prefix: str = ""
    tags: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    security: dict[str, str] = {}


class Tools(_Strict, frozen=True):
    """What agents can be allowed."""

    allowed: tuple[str, ...] | None = None
    installed: tuple[str, ...] = ()
    manifests: tuple[_Text, ...] = ()
    wasm: tuple[_Text, ...] = ()
    mcp: _Text | None = None
    openapi: tuple[OpenApiDocument, ...] = ()


class Route(_Strict, frozen=True):
    """A model, in the words of `TOKA_LLM_*`."""

    provider: _Text
    name: _Text
    base_url: _Text | None = None
    api_key_file: _Text | None = None
    api_key_env: _Text | None = None
    timeout: Annotated[float, msgspec.Meta(ge=1, lt=10**9)] | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1, lt=10**9)] | None = None
    prices: _Text | None = None
    allow_insecure: bool = False


class Server(_Strict, frozen=True):
    """Where the service listens; the command line wins."""

    host: _Text | None = None
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] | None = None
    public_url: _Text | None = None


class ServiceConfig(_Strict, frozen=True):
    """All that a file says."""

    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    agents: _Text | None = None
    limits: Limits = Limits()
    tools: Tools = Tools()
    model: tuple[Route, ...] = ()
    server: Server = Server()

    def make_model(self) -> Model | None:
        """Return the model that is described, or None for the one of the environment.

        Raises:
            ServiceConfigUnusable: A setting says nothing that can be used.
        """
        if not self.model:
            return None
        from toka.llm_gateway import (  # noqa: PLC0415 - only with one
            ConfigurationInvalid,
            FallbackModel,
            model_from_environment,
        )

        try:
            routes = [model_from_environment(_environ(route)) for route in self.model]
        except ConfigurationInvalid as error:
            raise _wrong("model", error.message, error.hint) from error
        return FallbackModel(routes) if len(routes) > 1 else routes[0]

    def folder(self) -> Path | None:
        """Return where specifications are, or None if nothing is said of it.

        Raises:
            ServiceConfigUnusable: It is no folder.
        """
        if self.agents is None:
            return None
        path = Path(self.agents).expanduser()
        if not path.is_dir():
            raise _wrong("agents", f"{path} is no folder.", "Make it, or name another.")
        return path.resolve()


def _environ(route: Route) -> Mapping[str, str]:
    """Return what `TOKA_LLM_*` would be for a route."""
    key = None if route.api_key_env is None else os.environ.get(route.api_key_env, "")
    given = {
        "PROVIDER": route.provider,
        "MODEL": route.name,
        "BASE_URL": route.base_url,
        "API_KEY": key,
        "API_KEY_FILE": route.api_key_file,
        "TIMEOUT": route.timeout,
        "MAX_OUTPUT_TOKENS": route.max_output_tokens,
        "PRICES": route.prices,
        "ALLOW_INSECURE": "1" if route.allow_insecure else None,
    }
    return {f"TOKA_LLM_{name}": str(value) for name, value in given.items() if value is not None}


def read_service_config(path: Path, *, needed: bool = False) -> ServiceConfig:
    """Return what a file says; what holds without one, if there is none.

    Args:
        path: The file.
        needed: It was there before, so that its absence is a fault: it may have restricted.

    Raises:
        ServiceConfigUnusable: It cannot be read, says something wrong, or others may write it.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        if needed:
            raise _unusable(path, "is gone") from None
        return ServiceConfig()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if status.st_mode & OTHERS_MAY_WRITE or status.st_uid not in (0, os.geteuid()):
        raise _unusable(path, "can be written by others, who could give themselves tools")
    if len(data) > MAX_BYTES:
        raise _unusable(path, f"is over {MAX_BYTES} bytes")
    return _parse(path, data)


def _parse(path: Path, data: bytes) -> ServiceConfig:
    try:
        found = tomllib.loads(data.decode("utf-8"))
        unknown = next(_unknown(found, ServiceConfig, ""), None)
        if unknown:
            raise _unusable(path, f"is wrong: {unknown}")
        return msgspec.convert(found, ServiceConfig)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise _unusable(path, f"is wrong: {error}") from error


def _unknown(value: object, kind: object, at: str) -> Iterator[str]:
    """Yield a sentence for every key that is not known, with the one that was meant."""
    kind = next(iter(getattr(kind, "__args__", ())), kind)
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _unknown(item, kind, at)
    if not (isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, _Strict)):
        return
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, item in cast("dict[str, object]", value).items():
        if key in fields:
            yield from _unknown(item, fields[key], f"{at}{key}.")
            continue
        near = difflib.get_close_matches(key, fields, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(fields)}"
        yield f"the key {at}{key} is not known; {meant}"


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # A pipe does not keep the service waiting.


def _unusable(path: Path, why: str) -> ServiceConfigUnusable:
    return ServiceConfigUnusable(
        f"{path} {why.rstrip('.')}.",
        hint=f"`toka-config validate --schema service {path}` says the line.",
        details={"path": str(path)},
    )


def _wrong(block: str, why: str, hint: str) -> ServiceConfigUnusable:
    return ServiceConfigUnusable(f"The configuration's {block}: {why}", hint=hint)
