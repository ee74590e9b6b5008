"""Documents to tools."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from toka.tools.http._request import Hop, check_headers, send
from toka.tools.http._url import parse_target
from toka.tools.openapi._answer import Promise
from toka.tools.openapi._cost import is_cheap
from toka.tools.openapi._document import MAX_DOCUMENT_BYTES, Document, read_document
from toka.tools.openapi._errors import InvalidDocumentError, UnsupportedOperationError
from toka.tools.openapi._names import tool_name
from toka.tools.openapi._operation import METHODS, Operation, read_operation
from toka.tools.openapi._options import OpenApiOptions
from toka.tools.openapi._schemas import SchemaBook
from toka.tools.openapi._security import check_schemes
from toka.tools.openapi._tool import OpenApiTool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toka.tools._context import ToolContext
    from toka.types import Json, JsonObject

MAX_SCHEMA_BYTES: Final = 256 << 10
"""Of one tool's parameters as JSON: more is of no use to a model."""

_USUAL: Final = OpenApiOptions()


@attrs.frozen
class SkippedOperation:
    """An operation that is no tool, and why."""

    operation: str
    reason: str


@attrs.frozen
class OpenApiTools:
    """What was made of a document."""

    title: str
    tools: tuple[OpenApiTool, ...]
    skipped: tuple[SkippedOperation, ...]
    """Of those that were asked for by tag, or not by name."""


def load_openapi(path: str | Path, options: OpenApiOptions = _USUAL) -> OpenApiTools:
    """Make tools of a document in a file.

    Raises:
        InvalidDocumentError: It cannot be read, or is not OpenAPI 3.0 or 3.1; two operations have
            the same name; an option names what it does not have.
        UnsupportedOperationError: An operation that was asked for by name cannot be a tool.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise InvalidDocumentError(f"{path} cannot be read: {error.strerror}.") from error
    return parse_openapi(data, options, source=str(path))


async def fetch_openapi(
    url: str, context: ToolContext, options: OpenApiOptions = _USUAL
) -> OpenApiTools:
    """Make tools of a document at a URL, for which `context` must hold the permission.

    Raises:
        AddressDeniedError: The URL is not granted, or leads to an address that is not allowed.
        HttpRequestError: There was no complete answer.
        ToolTimeoutError: It took longer than it may.
        InvalidDocumentError: As for `load_openapi`, and for any other status than 200.
        UnsupportedOperationError: As for `load_openapi`.
    """
    headers = check_headers({"Accept": "application/json, application/yaml;q=0.9, */*;q=0.1"})
    hop = Hop("GET", parse_target(url), headers, b"")
    limit = MAX_DOCUMENT_BYTES
    answer = await send(hop, context.granted, limit=limit, timeout_ns=context.timeout_ns)
    source = answer.target.url.partition("?")[0]
    if answer.exchange.status != 200 or answer.exchange.truncated:  # noqa: PLR2004 - OK
        raise InvalidDocumentError(
            f"{source} answered with status {answer.exchange.status}, or with more than"
            f" {MAX_DOCUMENT_BYTES} bytes."
        )
    return parse_openapi(answer.exchange.body, options, source=source, url=answer.target.url)


def parse_openapi(
    data: bytes, options: OpenApiOptions = _USUAL, *, source: str = "document", url: str = ""
) -> OpenApiTools:
    """Make tools of a document.

    Args:
        data: JSON or YAML.
        options: What is wanted of it.
        source: What errors call it.
        url: Where it comes from: a server that it names by a relative URL starts there.

    Raises:
        InvalidDocumentError: As for `load_openapi`.
        UnsupportedOperationError: As for `load_openapi`.
    """
    document = read_document(data, source)
    check_schemes(document, options.security)
    maker = _Maker(document, options)
    for path, method, item in _operations(document):
        maker.add(path, method, item, url)
    maker.check_wanted()
    info = document.root.get("info")
    title = str(info.get("title", "")) if isinstance(info, dict) else ""
    return OpenApiTools(title[:200], tuple(maker.tools.values()), tuple(maker.skipped))


def _operations(document: Document) -> Iterator[tuple[str, str, JsonObject]]:
    paths = document.root.get("paths", {})
    if not isinstance(paths, dict):
        raise InvalidDocumentError(f"The paths of {document.source} are not an object.")
    seen: dict[str, str] = {}
    for path, value in paths.items():
        if path.startswith("x-"):
            continue
        item = _item(document, path, value)
        for method in METHODS:
            if method in item:
                _check_unique(document, seen, item[method], f"{method.upper()} {path}")
                yield path, method, item


def _item(document: Document, path: str, value: Json) -> JsonObject:
    try:
        return document.resolved(value, "the path item")
    except UnsupportedOperationError as error:
        raise InvalidDocumentError(
            f"{document.source}: {path[:200]}: {error.message}.", hint=error.hint
        ) from error


def _check_unique(document: Document, seen: dict[str, str], said: Json, place: str) -> None:
    name = said.get("operationId") if isinstance(said, dict) else None
    if not isinstance(name, str) or not name:
        return
    if name in seen:
        raise InvalidDocumentError(
            f"{document.source} has the operationId {name[:80]!r} twice: at {seen[name][:200]} and"
            f" at {place[:200]}."
        )
    seen[name] = place


@attrs.define(eq=False)
class _Maker:
    document: Document
    options: OpenApiOptions
    tools: dict[str, OpenApiTool] = attrs.field(factory=dict[str, OpenApiTool], init=False)
    skipped: list[SkippedOperation] = attrs.field(factory=list[SkippedOperation], init=False)
    _met: set[str] = attrs.field(factory=set[str], init=False)
    _sent: SchemaBook = attrs.field(init=False)
    _received: SchemaBook = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sent = SchemaBook(self.document, "readOnly")
        self._received = SchemaBook(self.document, "writeOnly")

    def add(self, path: str, method: str, item: JsonObject, url: str) -> None:
        place = f"{method.upper()} {path}"
        said = item[method]
        name = str(said.get("operationId", "")) if isinstance(said, dict) else ""
        named = {name, place} & self.options.operations
        self._met |= named
        if not self._is_wanted(said, named):
            return
        try:
            operation = read_operation(self.document, path, method, item, self.options, url)
            tool = self._tool(operation, tool_name(self.options.prefix, name, method, path))
        except UnsupportedOperationError as error:
            if named:
                raise UnsupportedOperationError(
                    f"{self.document.source}: {place[:200]} cannot be a tool: {error.message}.",
                    hint=error.hint,
                ) from error
            self.skipped.append(SkippedOperation(name or place, str(error)))
        else:
            self._keep(tool)

    def _is_wanted(self, said: Json, named: set[str]) -> bool:
        if self.options.operations and not named:
            return False
        tags: Json = said.get("tags") if isinstance(said, dict) else None
        held = {str(tag) for tag in tags} if isinstance(tags, list) else set[str]()
        return not self.options.tags or bool(held & self.options.tags)

    def _keep(self, tool: OpenApiTool) -> None:
        other = self.tools.get(tool.name)
        if other is not None:
            raise InvalidDocumentError(
                f"{self.document.source}: {other.operation.name[:80]!r} and"
                f" {tool.operation.name[:80]!r} would both be the tool {tool.name}.",
                hint="Choose one of them with `operations`.",
            )
        self.tools[tool.name] = tool

    def check_wanted(self) -> None:
        missing = self.options.operations - self._met
        if missing:
            raise InvalidDocumentError(
                f"{self.document.source} has no operation {min(missing)[:80]!r}.",
                hint="Write its operationId, or method and path as in 'GET /pets/{id}'.",
            )

    def _tool(self, operation: Operation, name: str) -> OpenApiTool:
        promise, accept = self._promise(operation.responses)
        parameters = self._parameters(operation)
        made_of = (name, operation.method, operation.base, operation.path, parameters)
        said = self.document.resolved(operation.responses, "responses")
        digest = hashlib.blake2b(
            msgspec.json.encode((made_of, operation.description, said), order="sorted")
        )
        return OpenApiTool(
            name=name,
            version=digest.hexdigest()[:16],
            description=operation.description or operation.name,
            parameters=parameters,
            result_schema=_result_schema(promise),
            operation=operation,
            accept=accept,
            promise=promise,
            secrets=self.options.secrets,
            strict=self.options.checks_results,
        )

    def _parameters(self, operation: Operation) -> JsonObject:
        members = {name: self._sent.translate(one) for name, one in operation.schemas.items()}
        required = [one.argument for one in operation.parameters if one.required]
        if operation.body is not None:
            members["body"] = self._sent.translate(operation.body.schema)
            required += ["body"] * operation.body.required
        whole = self._sent.standalone(_object(members, required))
        if not is_cheap(whole):
            whole = self._sent.standalone(_object(self._shown(members), required))
        if len(msgspec.json.encode(whole)) > MAX_SCHEMA_BYTES:
            raise UnsupportedOperationError(
                f"its parameters take more than {MAX_SCHEMA_BYTES} bytes"
            )
        return whole

    def _shown(self, members: dict[str, Json]) -> dict[str, Json]:
        """Return the members with what would cost too much to enforce only shown to the model."""
        shown: dict[str, Json] = {}
        for name, one in members.items():
            whole = self._sent.standalone(_object({name: one}, []))
            unchecked: JsonObject = {"x-unchecked": one, "x-definitions": whole.get("$defs", {})}
            shown[name] = one if is_cheap(whole) else unchecked
        return shown

    def _promise(self, responses: JsonObject) -> tuple[Promise, str]:
        """Return the schemas of successful answers, and what to accept."""
        schemas: dict[tuple[str, str], JsonObject] = {}
        headers: set[str] = set()
        accepted: dict[str, None] = {}
        for status, value in responses.items():
            said = self.document.resolved(value, f"the response {status[:20]}")
            described, content = said.get("headers"), said.get("content")
            headers |= (
                {name.lower() for name in described} if isinstance(described, dict) else set()
            )
            for media, one in content.items() if isinstance(content, dict) else ():
                media_type = media.partition(";")[0].strip().lower()
                accepted[media_type] = None
                if _is_success(status) and (media_type.endswith("json") or "*" in media_type):
                    self._promise_one(schemas, (status.upper(), media_type), one)
        _check_ends(responses, accepted)
        return Promise(schemas, frozenset(headers - {"set-cookie"})), _accept(accepted)

    def _promise_one(
        self, schemas: dict[tuple[str, str], JsonObject], key: tuple[str, str], media: Json
    ) -> None:
        said = self.document.resolved(media, "a response")
        if "schema" not in said:
            return
        translated = self._received.translate(said["schema"])
        whole = self._received.standalone(translated if isinstance(translated, dict) else {})
        if is_cheap(whole):
            schemas[key] = whole


def _object(members: dict[str, Json], required: list[str]) -> JsonObject:
    return {
        "type": "object",
        "properties": members,
        "required": cast("Json", required),
        "additionalProperties": False,
    }


def _is_success(status: str) -> bool:
    return status[:1] == "2" or status == "default"


def _check_ends(responses: JsonObject, accepted: Iterable[str]) -> None:
    if list(accepted)[:1] == ["text/event-stream"] and responses:
        raise UnsupportedOperationError("it answers with a stream of events, which has no end")


def _accept(accepted: Iterable[str]) -> str:
    known = [media for media in accepted if media.isascii() and media.isprintable()]
    # The most telling first, as servers choose the first of what is equally welcome.
    known.sort(key=lambda media: not media.endswith("json"))
    return ", ".join(known[:20]) or "*/*"


def _result_schema(promise: Promise) -> JsonObject:
    """Return the schema of a value; that of its body only where all successes have the same."""
    bodies = list({id(schema): schema for schema in promise.schemas.values()}.values())
    body: Json = bodies[0] if len(bodies) == 1 else {}
    definitions: JsonObject = {}
    if isinstance(body, dict) and "$defs" in body:
        definitions = {"$defs": body["$defs"]}
        body = {key: value for key, value in body.items() if key != "$defs"}
    success: JsonObject = {"properties": {"body": body}}
    members: dict[str, Json] = {
        "ok": {"type": "boolean"},
        "status": {"type": "integer"},
        "media_type": {"type": "string"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {},
        "body_base64": {"type": "string"},
        "problem": {},
        "truncated": {"const": True},
        "violation": {"type": "string"},
    }
    checked: JsonObject = {
        "properties": {"ok": {"const": True}},
        "not": {"anyOf": [{"required": ["violation"]}, {"required": ["truncated"]}]},
    }
    return {
        "type": "object",
        "properties": members,
        "required": ["ok", "status", "media_type", "headers"],
        "if": checked,
        "then": success,
        **definitions,
    }
