"""Documents to tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools.http._request import Hop, check_headers, send
from toka.tools.http._url import parse_target
from toka.tools.openapi._document import MAX_DOCUMENT_BYTES, Document, read_document
from toka.tools.openapi._errors import InvalidDocumentError, UnsupportedOperationError
from toka.tools.openapi._make import ToolMaker
from toka.tools.openapi._names import tool_name
from toka.tools.openapi._operation import METHODS, read_operation
from toka.tools.openapi._options import OpenApiOptions
from toka.tools.openapi._security import check_schemes
from toka.tools.openapi._tool import OpenApiTool
from toka.tools.secrets._secrets import read_granted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.tools._context import ToolContext
    from toka.types import Json, JsonObject

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
    url: str, context: ToolContext, options: OpenApiOptions = _USUAL, *, bearer: str = ""
) -> OpenApiTools:
    """Make tools of a document at a URL, for which `context` must hold the permission.

    Args:
        url: Where it is.
        context: What may be asked for, and how long it may take.
        options: What is wanted of it.
        bearer: The name of a secret that the server wants before it shows its document.

    Raises:
        AccessDeniedError: `context` does not grant the secret.
        SecretMissingError: There is no such secret.
        AddressDeniedError: The URL is not granted, or leads to an address that is not allowed.
        HttpRequestError: There was no complete answer.
        ToolTimeoutError: It took longer than it may.
        InvalidDocumentError: As for `load_openapi`, for any other status than 200, and where a
            secret would be sent to another origin than that of `url` and no `server` is given.
        UnsupportedOperationError: As for `load_openapi`.
    """
    headers = {"Accept": "application/json, application/yaml;q=0.9, */*;q=0.1"}
    if bearer:
        secret = await read_granted(options.secrets, bearer, context.granted)
        headers["Authorization"] = f"Bearer {secret}"
    hop = Hop("GET", parse_target(url), check_headers(headers), b"")
    limit = MAX_DOCUMENT_BYTES
    answer = await send(hop, context.granted, limit=limit, timeout_ns=context.timeout_ns)
    source = answer.target.url.partition("?")[0]
    if answer.exchange.status != 200:  # noqa: PLR2004 - OK
        raise InvalidDocumentError(f"{source} answered with status {answer.exchange.status}.")
    if answer.exchange.truncated:
        raise InvalidDocumentError(f"{source} is longer than {MAX_DOCUMENT_BYTES} bytes.")
    made = parse_openapi(answer.exchange.body, options, source=source, url=answer.target.url)
    if not options.server:
        _check_origins(made, hop.target.origin, source)
    return made


def _check_origins(made: OpenApiTools, origin: str, source: str) -> None:
    """Refuse that a fetched document has secrets sent to where only it says that they belong.

    Raises:
        InvalidDocumentError: It would.
    """
    for tool in made.tools:
        place = parse_target(tool.operation.base).origin
        sends = any(one.secret for one in tool.operation.credentials)
        if sends and place != origin:
            raise InvalidDocumentError(
                f"{source} would have the secret of {tool.name} sent to {place}.",
                hint="If that is right, say so: give it as `server`.",
                details={"tool": tool.name, "origin": place},
            )


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
    selection = _Selection(document, options)
    for path, method, item in _operations(document):
        selection.add(path, method, item, url)
    selection.check_wanted()
    info = document.root.get("info")
    title = str(info.get("title", "")) if isinstance(info, dict) else ""
    return OpenApiTools(title[:200], tuple(selection.tools.values()), tuple(selection.skipped))


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
class _Selection:
    """The operations that are wanted, one after the other."""

    document: Document
    options: OpenApiOptions
    tools: dict[str, OpenApiTool] = attrs.field(factory=dict[str, OpenApiTool], init=False)
    skipped: list[SkippedOperation] = attrs.field(factory=list[SkippedOperation], init=False)
    _met: set[str] = attrs.field(factory=set[str], init=False)
    _maker: ToolMaker = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._maker = ToolMaker(self.document, self.options)

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
            tool = self._maker.make(operation, tool_name(self.options.prefix, name, method, path))
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
