"""Operations to tools: schemas for the model, and promises to hold answers against."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from toka.tools.openapi._answer import Promise
from toka.tools.openapi._cost import is_cheap
from toka.tools.openapi._errors import UnsupportedOperationError
from toka.tools.openapi._schemas import SchemaBook
from toka.tools.openapi._tool import OpenApiTool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.tools.openapi._document import Document
    from toka.tools.openapi._operation import Operation
    from toka.tools.openapi._options import OpenApiOptions
    from toka.types import Json, JsonObject

MAX_SCHEMA_BYTES: Final = 256 << 10
"""Of one tool's parameters as JSON: more is of no use to a model."""


@attrs.define(eq=False)
class ToolMaker:
    """Makes the tools of one document; what their schemas share is translated once."""

    _document: Document
    _options: OpenApiOptions
    _sent: SchemaBook = attrs.field(init=False)
    _received: SchemaBook = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sent = SchemaBook(self._document, "readOnly")
        self._received = SchemaBook(self._document, "writeOnly")

    def make(self, operation: Operation, name: str) -> OpenApiTool:
        """Return the tool of an operation.

        Raises:
            UnsupportedOperationError: Its schemas cannot be published.
        """
        promise, accept = self._promise(operation.responses)
        parameters = self._parameters(operation)
        made_of = (name, operation.method, operation.base, operation.path, parameters)
        said = self._document.resolved(operation.responses, "responses")
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
            secrets=self._options.secrets,
            strict=self._options.checks_results,
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
            said = self._document.resolved(value, f"the response {status[:20]}")
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
        said = self._document.resolved(media, "a response")
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
