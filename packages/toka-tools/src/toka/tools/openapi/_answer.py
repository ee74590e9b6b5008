"""Answers as values: what came back, checked against what the document promises."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from toka.tools._errors import InvalidArgumentsError
from toka.tools._schema import MAX_ARGUMENTS_DEPTH, check_depth, compile_schema
from toka.tools.openapi._errors import InvalidResultError, UnsupportedOperationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jsonschema.protocols import Validator

    from toka.tools.http._client import Exchange
    from toka.tools.http._request import Answer
    from toka.tools.secrets._secrets import Redactor
    from toka.types import Json, JsonObject

PROBLEM: Final = "application/problem+json"

# What says how to go on; the rest of an answer's headers is noise to a model.
_SHOWN_HEADERS: Final = frozenset(
    {"etag", "last-modified", "link", "location", "retry-after", "ratelimit", "ratelimit-policy"}
)
_SUCCESS: Final = range(200, 300)


@attrs.define(eq=False)
class Promise:
    """The schemas of an operation's successful answers, by status and media type."""

    schemas: dict[tuple[str, str], JsonObject]
    """The status as `200`, `2XX` or `DEFAULT`."""
    headers: frozenset[str]
    """In lower case, that the document describes."""
    _validators: dict[tuple[str, str], Validator] = attrs.field(
        factory=dict[tuple[str, str], "Validator"], init=False
    )

    def violation(self, tool: str, status: int, media_type: str, body: Json) -> str:
        """Return how a body breaks its schema, or nothing."""
        key = self._key(status, media_type)
        if key is None:
            return ""
        from referencing.exceptions import Unresolvable  # noqa: PLC0415 - see compile_schema

        if key not in self._validators:
            self._validators[key] = compile_schema(self.schemas[key], tool)
        try:
            check_depth(body, tool)
            faults = self._validators[key].iter_errors(body)
            fault = min(faults, key=lambda fault: len(fault.absolute_path), default=None)
        except InvalidArgumentsError:
            return f"it is nested deeper than {MAX_ARGUMENTS_DEPTH} levels"
        except Unresolvable as error:
            raise UnsupportedOperationError(f"The results of {tool} cannot be checked.") from error
        return "" if fault is None else f"{fault.json_path}: {_shorten(fault.message)}"

    def _key(self, status: int, media_type: str) -> tuple[str, str] | None:
        kind = media_type.partition("/")[0]
        for written in (str(status), f"{status // 100}XX", "DEFAULT"):
            present = [media for said, media in self.schemas if said == written]
            for media in (media_type, f"{kind}/*", "*/*"):
                if media in present:
                    return written, media
        return None


def _shorten(message: str, limit: int = 300) -> str:
    return (
        message
        if len(message) <= limit
        else f"{message[: limit // 2]} ... {message[-limit // 2 :]}"
    )


@attrs.frozen
class _Content:
    """The body of an answer: the member of the result that holds it, and whether it was JSON."""

    member: str
    value: Json
    is_json: bool = False


def result_of(
    answer: Answer, promise: Promise, redactor: Redactor, tool: str, *, strict: bool
) -> dict[str, Json]:
    """Return the value of a call.

    Raises:
        InvalidResultError: A success is not what the document promises, and `strict` is set.
    """
    exchange = answer.exchange
    media_type = _media_type(exchange.headers)
    content = _content(exchange, redactor.data(exchange.body), media_type)
    shown = _SHOWN_HEADERS | promise.headers
    value: dict[str, Json] = {
        "ok": exchange.status in _SUCCESS,
        "status": exchange.status,
        "media_type": media_type,
        "headers": {
            name: redactor.text(text) for name, text in exchange.headers.items() if name in shown
        },
    }
    if content.member:
        value[content.member] = redactor.json(content.value)
    if exchange.truncated:
        value["truncated"] = True
    elif value["ok"] is True and media_type.endswith("json"):
        broken = _broken(promise, content, tool, exchange.status, media_type)
        if broken:
            value["violation"] = redactor.text(broken)
    if strict and "violation" in value:
        raise _invalid(tool, exchange.status, str(value["violation"]))
    return value


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _content(exchange: Exchange, data: bytes, media_type: str) -> _Content:
    if not data:
        return _Content("", None)
    if media_type.endswith("json") and not exchange.truncated:
        try:
            value = cast("Json", msgspec.json.decode(data))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return _text(exchange, data)
        # RFC 9457: what went wrong, in members that every such answer has.
        return _Content("problem" if media_type == PROBLEM else "body", value, is_json=True)
    return _text(exchange, data)


def _text(exchange: Exchange, data: bytes) -> _Content:
    charset = re.search(r'charset="?([A-Za-z0-9._-]+)', exchange.headers.get("content-type", ""))
    encoding = charset[1].lower() if charset else "utf-8"
    try:
        text = data.decode(encoding, "ignore" if exchange.truncated else "strict")
    except (LookupError, UnicodeError):
        return _Content("body_base64", base64.b64encode(data).decode())
    return _Content("body", text)


def _broken(promise: Promise, content: _Content, tool: str, status: int, media_type: str) -> str:
    if not content.is_json:
        return "it is not JSON"
    return promise.violation(tool, status, media_type, content.value)


def _invalid(tool: str, status: int, broken: str) -> InvalidResultError:
    return InvalidResultError(
        f"{tool} was answered with status {status}, and not in the form that its document"
        f" promises: {broken}.",
        hint="What was asked for may have been done.",
        details={"tool": tool, "status": status, "violation": broken},
    )
