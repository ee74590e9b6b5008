"""Tool manifests in the original's JSON format, version 1.1, read as data.

The original writes schemas as JSON text of at most 64 KiB after draft 7; objects are taken as well.
References to other documents are refused, so that nothing is fetched because somebody named it.
"""

from __future__ import annotations

import json
import re
import shlex
from hashlib import sha256
from typing import Annotated, Final, Literal, TypeAlias, cast

import attrs
import msgspec
from msgspec import Meta

from toka.capability.core import Permission, PermissionSyntaxError, Request
from toka.tools._errors import InvalidManifestError, InvalidToolError
from toka.tools._schema import compile_schema
from toka.types import JsonObject, SideEffect  # noqa: TC001 - msgspec reads the annotations

MAX_MANIFEST_BYTES: Final = 262_144
MAX_SCHEMA_BYTES: Final = 65_536

_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1_024)]


class HttpTransport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="json_rpc_http"):
    """JSON-RPC 2.0 as the body of a POST."""

    endpoint: Annotated[str, Meta(pattern="^https?://", max_length=2_048)]


class StdioTransport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="json_rpc_stdio"):
    """JSON-RPC 2.0 over the standard input and output of a program, one message a line."""

    exec: Text

    @property
    def argv(self) -> tuple[str, ...]:
        """Program and arguments.

        Raises:
            InvalidManifestError: Its quotes do not match.
        """
        try:
            return tuple(shlex.split(self.exec))
        except ValueError as error:
            raise InvalidManifestError(f"{self.exec!r} is no command: {error}.") from error


class InProcessTransport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="in_process"):
    """Something that the host has registered for the tool's id."""


class WasmTransport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="wasm"):
    """A WebAssembly module beside the manifest."""

    path: Text


Transport: TypeAlias = HttpTransport | StdioTransport | InProcessTransport | WasmTransport


class Mcp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="mcp"):
    """The name under which the tool is called by the Model Context Protocol."""

    function_name: Text
    version: str = ""


class A2a(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="a2a"):
    """The action as which agents call the tool."""

    action: Text
    version: str = ""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: Text
    name: Text
    version: Text
    description: Annotated[str, Meta(max_length=4_096)] = ""
    capability: Annotated[str, Meta(max_length=512)] = ""
    side_effect: SideEffect
    input_schema: str | dict[str, object] | None = None
    output_schema: str | dict[str, object] | None = None
    transports: Annotated[tuple[object, ...], Meta(min_length=1, max_length=8)]
    action_id: str | None = None
    manifest_version: Literal["1.0", "1.1"] = "1.1"
    protocols: tuple[Mcp | A2a, ...] = ()
    metadata: dict[str, object] = {}


@attrs.frozen(kw_only=True)
class JsonManifest:
    """A manifest whose schemas are checked."""

    id: str
    name: str
    version: str
    description: str
    capability: str
    side_effect: SideEffect
    parameters: JsonObject
    result: JsonObject | None
    transports: tuple[Transport, ...]
    method: str
    """What JSON-RPC calls: the action, or else the id."""
    protocols: tuple[Mcp | A2a, ...]
    digest: str


def parse_json_manifest(data: bytes | str, source: str = "manifest") -> JsonManifest:
    """Read a manifest from JSON.

    Raises:
        InvalidManifestError: It is too long, not JSON, or no manifest; the message says where.
    """
    text = data.encode("utf-8", "replace") if isinstance(data, str) else data
    if len(text) > MAX_MANIFEST_BYTES:
        raise InvalidManifestError(f"{source} is longer than {MAX_MANIFEST_BYTES} bytes.")
    _check_syntax(text, source)
    try:
        document = msgspec.json.decode(text, type=_Document)
        transports = tuple([_transport(*one) for one in enumerate(document.transports)])
        return _manifest(document, transports, sha256(text).hexdigest())
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _fault(text, source, str(error).rstrip(".") + ".") from error
    except (InvalidManifestError, InvalidToolError) as error:
        raise _fault(text, source, error.message) from error


def _check_syntax(text: bytes, source: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidManifestError(
            f"{source}:{error.lineno}:{error.colno}: {error.msg}.",
            details={"source": source, "line": error.lineno, "column": error.colno},
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InvalidManifestError(f"{source} is not JSON: {error}.") from error


def _transport(index: int, written: object) -> Transport:
    """Read a transport as `{"type": KIND, ...}`, as `{KIND: {...}}`, or as the kind alone."""
    if isinstance(written, str):
        written = {"type": written}
    fields = cast("dict[str, object]", written) if isinstance(written, dict) else {}
    if len(fields) == 1 and "type" not in fields:
        ((kind, inner),) = fields.items()
        fields = {
            **cast("dict[str, object]", inner if isinstance(inner, dict) else {}),
            "type": kind,
        }
    try:
        found: Transport = msgspec.convert(fields, Transport)
    except msgspec.ValidationError as error:
        message, _, inside = str(error).partition(" - at `$")
        where = f"$.transports[{index}]{inside.rstrip('`')}"
        raise msgspec.ValidationError(f"{message} - at `{where}`") from error
    return found


def _manifest(document: _Document, transports: tuple[Transport, ...], digest: str) -> JsonManifest:
    name = re.sub(r"[-. ]", "_", document.name.lower())
    if not _NAME.fullmatch(name):
        raise InvalidManifestError(f"{document.name!r} cannot name a tool.")
    kinds = [type(one) for one in document.protocols]
    if len(set(kinds)) < len(kinds):
        raise InvalidManifestError("A protocol stands here twice.")
    for one in transports:
        if isinstance(one, StdioTransport) and not one.argv:
            raise InvalidManifestError("`exec` names no program.")
    if _is_pattern(document.capability):
        raise InvalidManifestError(
            "`capability` is a pattern; a call asks for one thing.",
            hint="Write a permission without '*', or a word.",
        )
    parameters = _schema(document.input_schema, "input_schema", name)
    if parameters is not None and parameters.get("type", "object") != "object":
        raise InvalidManifestError("`input_schema` is no schema of an object.")
    return JsonManifest(
        id=document.id,
        name=name,
        version=document.version,
        description=document.description,
        capability=document.capability,
        side_effect=document.side_effect,
        parameters=parameters or {"type": "object"},
        result=_schema(document.output_schema, "output_schema", name),
        transports=transports,
        method=document.action_id or document.id,
        protocols=document.protocols,
        digest=digest,
    )


def _is_pattern(capability: str) -> bool:
    """Say whether a text grants something and yet cannot be asked for, so not be demanded."""
    try:
        Permission.parse(capability)
    except PermissionSyntaxError:
        return False
    try:
        Request.parse(capability)
    except PermissionSyntaxError:
        return True
    return False


def _schema(written: str | dict[str, object] | None, field: str, name: str) -> JsonObject | None:
    if written is None:
        return None
    text = written if isinstance(written, str) else msgspec.json.encode(written).decode()
    if len(text.encode()) > MAX_SCHEMA_BYTES:
        raise InvalidManifestError(f"`{field}` is longer than {MAX_SCHEMA_BYTES} bytes.")
    try:
        schema: object = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidManifestError(f"`{field}` is not JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise InvalidManifestError(f"`{field}` is no JSON Schema.")
    _check_references(cast("object", schema), field)
    found = cast("JsonObject", {"$schema": _DRAFT_7, **schema})
    compile_schema(found, name)
    return found


def _check_references(value: object, field: str) -> None:
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        reference = found.get("$ref", "#")
        if isinstance(reference, str) and not reference.startswith("#"):
            raise InvalidManifestError(
                f"`{field}` refers to {reference[:120]!r}, which is another document.",
                hint="Write what it holds under `definitions`.",
            )
        for one in found.values():
            _check_references(one, field)
    elif isinstance(value, list):
        for one in cast("list[object]", value):
            _check_references(one, field)


def _fault(data: bytes, source: str, message: str) -> InvalidManifestError:
    from toka.tools.manifests._yaml_place import place_of  # noqa: PLC0415 - PyYAML is an extra

    named = re.search(r"`(\$[^`]*)`$", message.rstrip("."))
    unknown = re.search(r"unknown field `([^`]*)`", message)
    where = (named[1] if named else "$") + (f".{unknown[1]}" if unknown else "")
    line, column = place_of(data, where)
    return InvalidManifestError(
        f"{source}:{line}:{column}: {message}",
        details={"source": source, "line": line, "column": column, "path": where},
    )
