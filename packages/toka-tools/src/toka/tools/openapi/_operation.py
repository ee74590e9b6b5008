"""One operation of a document: what its arguments are, and where they go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools._errors import InvalidArgumentsError
from toka.tools.http._request import check_headers
from toka.tools.openapi._body import Body, read_body
from toka.tools.openapi._errors import UnsupportedOperationError
from toka.tools.openapi._names import argument_name
from toka.tools.openapi._security import Credential, credentials_of
from toka.tools.openapi._serialise import STYLES, Parameter, Place, default_style
from toka.tools.openapi._server import base_url

if TYPE_CHECKING:
    from toka.tools.openapi._document import Document
    from toka.tools.openapi._options import OpenApiOptions
    from toka.types import Json, JsonObject

METHODS: Final = ("get", "head", "options", "post", "put", "patch", "delete")
MAX_PARAMETERS: Final = 200
MAX_DESCRIPTION: Final = 2_000

# OpenAPI 3.1, section 4.8.12.1: these have their own place in the document.
_IGNORED_HEADERS: Final = frozenset({"accept", "authorization", "content-type", "cookie"})
_KEY_HEADERS: Final = frozenset({"idempotency-key"})
_EXPRESSION = re.compile(r"\{([^{}]*)\}")


@attrs.frozen
class Operation:
    """An operation that can be called."""

    name: str
    """The `operationId`, or method and path."""
    method: str
    path: str
    base: str
    """The server's URL, without a slash at its end."""
    description: str
    tags: frozenset[str]
    parameters: tuple[Parameter, ...]
    schemas: dict[str, Json]
    """Of the parameters, by argument, in the dialect of the document."""
    body: Body | None
    credentials: tuple[Credential, ...]
    key_header: str
    """The header of an idempotency key, if the operation has one."""
    responses: JsonObject


def read_operation(
    document: Document, path: str, method: str, item: JsonObject, options: OpenApiOptions, url: str
) -> Operation:
    """Read one operation.

    Args:
        document: Where it stands.
        path: Its template.
        method: In lower case, a key of `item`.
        item: The path item.
        options: Server and credentials.
        url: Where the document comes from, if it was fetched: relative servers start there.

    Raises:
        UnsupportedOperationError: It uses something that tools cannot do.
    """
    said = document.resolved(item[method], "the operation")
    requirements = said.get("security", document.root.get("security"))
    credentials = credentials_of(document, requirements, options.security)
    body = read_body(document, said["requestBody"]) if "requestBody" in said else None
    found = _parameters(document, item, said)
    taken = {one.place for one in credentials}
    key_header = next(
        (name for place, name in found if place == "header" and name.lower() in _KEY_HEADERS), ""
    )
    shown = {key: one for key, one in found.items() if not _is_set_elsewhere(key, taken)}
    arguments = _arguments(tuple(shown), has_body=body is not None)
    _check_template(path, shown)
    responses = said.get("responses", {})
    return Operation(
        name=str(said.get("operationId", "")) or f"{method.upper()} {path}",
        method=method.upper(),
        path=path,
        base=base_url(document, (said, item, document.root), options, url),
        description=_description(said, item),
        tags=frozenset(str(tag) for tag in _list(said.get("tags"))),
        parameters=tuple([_parameter(key, one, arguments[key]) for key, one in shown.items()]),
        schemas={arguments[key]: _described(document, one) for key, one in shown.items()},
        body=body,
        credentials=credentials,
        key_header=key_header,
        responses=responses if isinstance(responses, dict) else {},
    )


def _parameters(
    document: Document, item: JsonObject, said: JsonObject
) -> dict[tuple[Place, str], JsonObject]:
    """Return the parameters by place and name; an operation's own go before its path's."""
    found: dict[tuple[Place, str], JsonObject] = {}
    for value in [*_list(item.get("parameters")), *_list(said.get("parameters"))]:
        one = document.resolved(value, "a parameter")
        place, name = one.get("in"), one.get("name")
        if not isinstance(place, str) or place not in STYLES:
            raise UnsupportedOperationError("a parameter has no place in the request")
        if not isinstance(name, str) or not name:
            raise UnsupportedOperationError("a parameter has no name")
        found[place, name] = one
    if len(found) > MAX_PARAMETERS:
        raise UnsupportedOperationError(f"it has more than {MAX_PARAMETERS} parameters")
    return found


def _is_set_elsewhere(key: tuple[Place, str], taken: set[tuple[str, str]]) -> bool:
    place, name = key
    if place == "header":
        lower = name.lower()
        return lower in _IGNORED_HEADERS | _KEY_HEADERS or (place, lower) in taken
    return (place, name) in taken


def _arguments(
    keys: tuple[tuple[Place, str], ...], *, has_body: bool
) -> dict[tuple[Place, str], str]:
    """Return the argument of each parameter, told apart by place, and then by a number."""
    plain = [argument_name(name) for _, name in keys] + ["body"] * has_body
    taken = {"body"} if has_body else set[str]()
    found: dict[tuple[Place, str], str] = {}
    for place, name in keys:
        argument = argument_name(name)
        if plain.count(argument) > 1 and any(other == name and at != place for at, other in keys):
            argument = argument_name(f"{argument[:50]}_in_{place}")
        found[place, name] = _free(argument, taken)
        taken.add(found[place, name])
    return found


def _free(argument: str, taken: set[str]) -> str:
    """Return an argument that is not taken: `StartTime` and `StartTime<` both want the same one."""
    name, count = argument, 1
    while name in taken:
        count += 1
        name = f"{argument[:60]}_{count}"
    return name


def _parameter(key: tuple[Place, str], said: JsonObject, argument: str) -> Parameter:
    place, name = key
    style = str(said.get("style", default_style(place)))
    if style not in STYLES[place]:
        raise UnsupportedOperationError(f"the parameter {name[:80]!r} has the style {style[:40]!r}")
    if place == "header":
        try:
            check_headers({name: ""})
        except InvalidArgumentsError as error:
            raise UnsupportedOperationError(f"{name[:80]!r} cannot be a header") from error
    return Parameter(
        name,
        place,
        argument,
        style,
        explode=said.get("explode", style == "form") is True,
        required=said.get("required") is True or place == "path",
        as_json="content" in said,
        allow_reserved=said.get("allowReserved") is True,
    )


def _described(document: Document, said: JsonObject) -> Json:
    """Return the schema of a parameter, with the description that stands beside it."""
    content = said.get("content")
    schema = said.get("schema", {})
    if isinstance(content, dict) and content:
        schema = document.resolved(next(iter(content.values())), "a parameter").get("schema", {})
    text = said.get("description")
    if not isinstance(text, str) or not isinstance(schema, dict) or "description" in schema:
        return schema
    if "$ref" in schema:
        return {"allOf": [schema], "description": text[:MAX_DESCRIPTION]}
    return {**schema, "description": text[:MAX_DESCRIPTION]}


def _check_template(path: str, found: dict[tuple[Place, str], JsonObject]) -> None:
    if not path.startswith("/") or "?" in path or "#" in path:
        raise UnsupportedOperationError("its path is not a path")
    wanted = set(_EXPRESSION.findall(path))
    given = {name for place, name in found if place == "path"}
    if wanted != given:
        names = ", ".join(sorted(wanted ^ given))
        raise UnsupportedOperationError(f"path and parameters disagree about {names[:200]}")


def _description(said: JsonObject, item: JsonObject) -> str:
    texts = [
        said.get("summary") or item.get("summary"),
        said.get("description") or item.get("description"),
    ]
    whole = "\n\n".join(text.strip() for text in texts if isinstance(text, str) and text.strip())
    if said.get("deprecated") is True:
        whole = f"Deprecated. {whole}"
    return whole if len(whole) <= MAX_DESCRIPTION else f"{whole[: MAX_DESCRIPTION - 4]} ..."


def _list(value: Json) -> list[Json]:
    return [*value] if isinstance(value, list) else []
