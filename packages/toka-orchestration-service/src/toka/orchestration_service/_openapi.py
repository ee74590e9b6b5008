"""The OpenAPI 3.1 document, made from the table of routes and the classes of the answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from toka.orchestration_service._problems import MEDIA_TYPE
from toka.orchestration_service._route import PATTERNS, Parameter
from toka.orchestration_service._shapes import Event
from toka.orchestration_service._statuses import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.orchestration_service._route import Route

_REFERENCE: Final = "#/components/schemas/{name}"
_ABOUT: Final = (
    "Every resource but /health needs a capability token. What a token must cover is said with each"
    " operation (x-needs). Every refusal is a problem document (RFC 9457) with a stable code."
)
_ALWAYS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE)
_OF_BODIES: Final = (
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
IF_NONE_MATCH: Final = Parameter(
    "If-None-Match", "The ETag of an answer: if it is still the same, 304 says so.", where="header"
)
_UNCHANGED: Final = {"description": "What If-None-Match names is still the answer."}


def api_document(routes: Sequence[Route], version: str) -> dict[str, object]:
    """Return the document."""
    kinds = {kind for route in routes for kind in (route.result, route.body) if kind is not None}
    ordered = [*sorted(kinds, key=str), Problem, Event]
    schemas, components = msgspec.json.schema_components(
        ordered, ref_template=_REFERENCE, schema_hook=_anything
    )
    by_kind: dict[object, object] = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        operation = _operation(route, by_kind)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Toka orchestration service", "version": version, "description": _ABOUT},
        "paths": paths,
        "security": [{"capability": []}],
        "components": {
            "schemas": components,
            "securitySchemes": {"capability": {"type": "http", "scheme": "bearer"}},
        },
    }


def _anything(_: type) -> dict[str, object]:
    """Describe a value that may be anything: everything else is described by its class."""
    return {"description": "Any JSON."}


def _operation(route: Route, schemas: dict[object, object]) -> dict[str, object]:
    answer: dict[str, object] = {
        "description": route.status.phrase,
        "content": {route.media: {"schema": _answer_schema(route, schemas)}},
    }
    if route.location:
        answer["headers"] = {"Location": {"schema": {"type": "string"}}}
    if route.has_tag:
        answer["headers"] = {"ETag": {"schema": {"type": "string"}}}
    refused = {
        "description": "Refused",
        "content": {MEDIA_TYPE: {"schema": schemas[Problem]}},
    }
    operation: dict[str, object] = {
        "operationId": route.handler.__name__,
        "summary": route.text,
        "parameters": [*_path_parameters(route), *map(_parameter, _parameters_of(route))],
        "responses": {
            str(route.status.value): answer,
            **({"304": _UNCHANGED} if route.has_tag else {}),
            **{str(status.value): refused for status in sorted(_refusals(route))},
        },
    }
    needs = "; ".join(part for part in (route.needs, route.also) if part)
    if needs:
        operation["x-needs"] = needs
    if route.is_open:
        operation["security"] = []
    if route.body is not None:
        content = {"application/json": {"schema": schemas[route.body]}}
        operation["requestBody"] = {"content": content}
    return operation


def _parameters_of(route: Route) -> tuple[Parameter, ...]:
    return (*route.parameters, IF_NONE_MATCH) if route.has_tag else route.parameters


def _answer_schema(route: Route, schemas: dict[object, object]) -> object:
    if route.media == "text/event-stream":
        # OpenAPI 3.1 has no words for what is in a stream; every `data:` is one of these.
        return {"type": "string", "x-data": schemas[Event]}
    return schemas.get(route.result, {"type": "string"})


def _refusals(route: Route) -> set[HTTPStatus]:
    found = set(route.refusals)
    if not route.is_open:
        found.update(_ALWAYS)
    if route.needs or route.also:
        found.add(HTTPStatus.FORBIDDEN)
    if route.body is not None:
        found.update(_OF_BODIES)
    return found


def _path_parameters(route: Route) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{pattern}$"},
        }
        for name, pattern in PATTERNS.items()
        if f"{{{name}}}" in route.path
    ]


def _parameter(parameter: Parameter) -> dict[str, object]:
    schema: dict[str, object] = {"type": parameter.kind}
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.text,
        "required": False,
        "schema": {"type": "array", "items": schema} if parameter.repeated else schema,
    }
