"""An operation of an OpenAPI document as a tool."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from toka.tools._errors import AccessDeniedError, HttpRequestError, InvalidArgumentsError
from toka.tools._result import ToolResult
from toka.tools.http._request import Hop, check_headers, send
from toka.tools.http._url import Target, parse_target
from toka.tools.openapi._answer import Promise, result_of
from toka.tools.openapi._body import encode_body
from toka.tools.openapi._security import fill
from toka.tools.openapi._serialise import header_value, path_segment, query_pairs
from toka.tools.secrets._secrets import secret_request

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.tools.http._request import Answer
    from toka.tools.openapi._operation import Operation
    from toka.tools.openapi._security import Filled
    from toka.tools.openapi._serialise import Parameter, Place
    from toka.tools.secrets._secrets import Secrets
    from toka.types import Json, JsonObject, SideEffect

_EXPRESSION = re.compile(r"\{([^{}]*)\}")

# RFC 9110, section 9.2: safe methods, and those of which a second one changes nothing more.
_EFFECTS: Final[dict[str, SideEffect]] = {
    "GET": "read_only",
    "HEAD": "read_only",
    "OPTIONS": "read_only",
    "PUT": "idempotent",
    "DELETE": "idempotent",
}


@attrs.frozen(eq=False)
class OpenApiTool:
    """Calls one operation of a server that a document describes."""

    name: str
    version: str
    """A digest of all that the document says about the operation."""
    description: str
    parameters: JsonObject
    result_schema: JsonObject
    """JSON Schema of a result's value."""
    operation: Operation = attrs.field(repr=False)
    accept: str = attrs.field(repr=False)
    promise: Promise = attrs.field(repr=False)
    secrets: Secrets = attrs.field(repr=False)
    strict: bool = True
    taints: bool = attrs.field(default=True, init=False)

    @property
    def side_effect(self) -> SideEffect:
        """What HTTP says about the method."""
        return _EFFECTS.get(self.operation.method, "external")

    @property
    def honours_idempotency_key(self) -> bool:
        """Whether the operation takes an `Idempotency-Key`."""
        return bool(self.operation.key_header)

    @property
    def actions(self) -> tuple[str, ...]:
        """Domain and action of what calls may request."""
        return (f"net:{self.operation.method.lower()}",)

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - no files
        """Return the requests for the URL, and for each secret that is sent to it.

        Raises:
            ToolError: The arguments make no URL, or a secret that is needed was never named.
        """
        target = self._target(arguments, ())
        names = dict.fromkeys(one.secret for one in self.operation.credentials)
        self._check_credentials()
        return (target.request(self.operation.method), *[secret_request(name) for name in names])

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Send the request and return what came back.

        Raises:
            ToolError: It was refused, failed, ran out of time, or brought something else than was
                promised.
        """
        started = context.clock.monotonic()
        self._check_credentials()
        filled = await fill(self.operation.credentials, self.secrets, context.granted)
        hop = self._hop(arguments, filled, context.idempotency_key)
        try:
            answer = await send(
                hop,
                context.granted,
                limit=context.output_limit_bytes,
                timeout_ns=context.timeout_ns,
            )
        except HttpRequestError as error:
            raise _without_secrets(error, filled) from None
        value = self._value(answer, filled)
        spent = context.clock.monotonic() - started
        return ToolResult(value, truncated=answer.exchange.truncated, duration_ns=spent)

    def _value(self, answer: Answer, filled: Filled) -> JsonObject:
        return result_of(answer, self.promise, filled.redactor, self.name, strict=self.strict)

    def _check_credentials(self) -> None:
        for one in self.operation.credentials:
            if not one.secret:
                raise AccessDeniedError(
                    f"{self.name} needs a credential for {one.scheme[:80]!r}, and none is named.",
                    hint="Name its secret in the options of the document.",
                    details={"tool": self.name, "scheme": one.scheme[:80]},
                )

    def _hop(self, arguments: JsonObject, filled: Filled, key: str) -> Hop:
        headers: dict[str, str] = {"Accept": self.accept}
        data = b""
        body = self.operation.body
        if body is not None and "body" in arguments:
            headers["Content-Type"], data = _encoded(self, arguments["body"])
        for one, value in self._given(arguments, "header"):
            headers[one.name] = header_value(one, value)
        if key and self.operation.key_header:
            headers[self.operation.key_header] = key
        cookies = [
            pair
            for one, value in self._given(arguments, "cookie")
            for pair in query_pairs(one, value)
        ]
        if cookies or filled.cookies:
            headers["Cookie"] = "; ".join([*cookies, *filled.cookies])
        target = self._target(arguments, filled.query)
        return Hop(self.operation.method, target, check_headers(headers | filled.headers), data)

    def _target(self, arguments: JsonObject, credentials: tuple[str, ...]) -> Target:
        given = {
            one.name: path_segment(one, value) for one, value in self._given(arguments, "path")
        }
        pairs = [
            pair
            for one, value in self._given(arguments, "query")
            for pair in query_pairs(one, value)
        ]
        operation = self.operation
        try:
            path = _EXPRESSION.sub(lambda match: given[match[1]], operation.path)
        except KeyError as error:
            raise InvalidArgumentsError(
                f"{self.name} needs {error.args[0]!r} in its path."
            ) from None
        query = "&".join([*pairs, *credentials])
        return parse_target(f"{operation.base}{path}" + (f"?{query}" if query else ""))

    def _given(self, arguments: JsonObject, place: Place) -> list[tuple[Parameter, Json]]:
        return [
            (one, _sound(arguments[one.argument], one.argument))
            for one in self.operation.parameters
            if one.place == place and arguments.get(one.argument) is not None
        ]


def _sound(value: Json, argument: str) -> Json:
    """Return a value that can be written as UTF-8."""
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise InvalidArgumentsError(f"{argument} holds half of a character.") from error
    return value


def _encoded(tool: OpenApiTool, value: Json) -> tuple[str, bytes]:
    body = tool.operation.body
    assert body is not None  # noqa: S101 - the caller looked
    if body.form in ("form", "multipart") and not isinstance(value, dict):
        raise InvalidArgumentsError(f"The body of {tool.name} must be an object.")
    try:
        return encode_body(body, value)
    except UnicodeEncodeError as error:
        raise InvalidArgumentsError(
            f"The body of {tool.name} holds half of a character."
        ) from error


def _without_secrets(error: HttpRequestError, filled: Filled) -> HttpRequestError:
    """Return the error without what a server repeated in a message that is no HTTP."""
    details = cast("JsonObject", filled.redactor.json(error.details))
    return HttpRequestError(
        filled.redactor.text(error.message), code=error.code, hint=error.hint, details=details
    )
