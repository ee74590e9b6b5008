"""Tools from Python functions.

    @tool(side_effect="none", taints=False)
    async def add(first: int, second: int = 1) -> int:
        '''Add two numbers.'''
        return first + second

The signature is the schema: parameters are text, numbers, booleans, lists, dictionaries, literals,
optional ones of these, or attrs classes of them. A first parameter annotated with `ToolContext`
gets the context of the call and is no argument.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeAlias, cast, get_type_hints

import attrs
import msgspec

from toka.tools._context import ToolContext
from toka.tools._errors import InvalidToolError, ToolError
from toka.tools._result import ToolResult
from toka.tools._schema import decode, fits, schema_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from toka.tools._context import Workspace
    from toka.types import Json, JsonObject, SideEffect

    Body: TypeAlias = Callable[..., Awaitable[object]]
    Requests: TypeAlias = Callable[[JsonObject, Workspace], Iterable[str]]


@attrs.frozen(kw_only=True)
class FunctionTool:
    """An async function as a tool."""

    name: str
    description: str
    side_effect: SideEffect
    version: str = "1"
    honours_idempotency_key: bool = False
    taints: bool = True
    _body: Body = attrs.field(alias="body")
    _kind: type[msgspec.Struct] = attrs.field(alias="kind")
    _wants_context: bool = attrs.field(alias="wants_context")
    _requests: Requests = attrs.field(alias="requests")

    @property
    def parameters(self) -> JsonObject:
        """JSON Schema of the arguments."""
        kind: type = self._kind
        return schema_of(kind)

    def fits(self, arguments: JsonObject) -> bool:
        """Say quickly whether arguments satisfy `parameters`."""
        return fits(self._kind, arguments)

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:
        """Return every permission request that must be granted before this call."""
        return tuple(self._requests(arguments, workspace))

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Call the function.

        Raises:
            ToolError: The function raised it, or returned what JSON does not know. Every other
                error of the function passes through as it is.
        """
        started = context.clock.monotonic()
        fields = decode(self._kind, arguments, self.name)
        named = {name: getattr(fields, name) for name in self._kind.__struct_fields__}
        first = (context,) if self._wants_context else ()
        value = _as_json(await self._body(*first, **named), self.name)
        return ToolResult(value, duration_ns=context.clock.monotonic() - started)


def _nothing(_: JsonObject, __: Workspace) -> tuple[str, ...]:
    return ()


def tool(
    *,
    side_effect: SideEffect,
    name: str | None = None,
    description: str | None = None,
    version: str = "1",
    requests: Requests = _nothing,
    taints: bool = True,
    honours_idempotency_key: bool = False,
) -> Callable[[Body], FunctionTool]:
    """Make a tool of an async function.

    Args:
        side_effect: What a second call with the same arguments would do.
        name: The function's, unless given.
        description: The first paragraph of the function's docstring, unless given.
        version: Change it when the function does or returns something else.
        requests: Maps arguments and workspace to the permission requests that the call takes;
            `path_request` makes those for files.
        taints: Whether results hold data from outside.
        honours_idempotency_key: Whether the function passes `context.idempotency_key` on to
            something that acts once for each key.

    Raises:
        InvalidToolError: The function is not async, or its signature has no JSON Schema.
    """

    def make(body: Body) -> FunctionTool:
        called = name or body.__name__
        kind, wants_context = _arguments_class(body, called)
        schema_of(kind)  # Here, where the author sees it, and not at the first call.
        return FunctionTool(
            name=called,
            description=description or _first_paragraph(body),
            side_effect=side_effect,
            version=version,
            honours_idempotency_key=honours_idempotency_key,
            taints=taints,
            body=body,
            kind=kind,
            wants_context=wants_context,
            requests=requests,
        )

    return make


def _arguments_class(body: Body, name: str) -> tuple[type[msgspec.Struct], bool]:
    if not inspect.iscoroutinefunction(body):
        raise InvalidToolError(f"{name} is not an async function.", hint="Define it as async def.")
    hints = _hints(body, name)
    fields: list[tuple[str, object] | tuple[str, object, object]] = []
    wants_context = False
    for position, parameter in enumerate(inspect.signature(body).parameters.values()):
        kind = hints.get(parameter.name)
        if kind is ToolContext and position == 0:
            wants_context = True
        else:
            fields.append(_field(parameter, kind, name))
    made = msgspec.defstruct(
        "".join(part.title() for part in name.split("_")) + "Arguments",
        cast("list[tuple[str, type]]", fields),
        forbid_unknown_fields=True,
        kw_only=True,
    )
    return made, wants_context


def _hints(body: Body, name: str) -> dict[str, object]:
    try:
        return get_type_hints(body, include_extras=True)
    except NameError as error:
        raise InvalidToolError(
            f"The annotations of {name} cannot be read: {error}.",
            hint="Import what they name outside of TYPE_CHECKING.",
        ) from error


def _field(
    parameter: inspect.Parameter, kind: object, name: str
) -> tuple[str, object] | tuple[str, object, object]:
    if kind is None or parameter.kind not in (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    ):
        raise InvalidToolError(
            f"The parameter {parameter.name!r} of {name} is no named, annotated parameter.",
            hint="Annotate it, and use neither *args nor **kwargs nor '/'.",
        )
    if parameter.default is inspect.Parameter.empty:
        return (parameter.name, kind)
    return (parameter.name, kind, parameter.default)


def _first_paragraph(body: Body) -> str:
    text = inspect.getdoc(body) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _as_json(value: object, name: str) -> Json:
    try:
        return cast("Json", msgspec.to_builtins(value))
    except TypeError as error:
        raise ToolError(
            f"{name} returned a {type(value).__name__}, which is no JSON value: {error}.",
            code="tools.invalid_result",
        ) from error
