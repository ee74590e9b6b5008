"""Requests in Anthropic's Messages format, as a server reads them."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from toka.llm_gateway._errors import InvalidRequest
from toka.llm_gateway._messages import (
    CacheTtl,
    Document,
    Image,
    Media,
    ModelMessage,
    Native,
    Part,
    Reasoning,
    Role,
    Text,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway._request import (
    Effort,
    ModelRequest,
    NativeFields,
    OutputSchema,
    ToolChoice,
    ToolSchema,
)
from toka.llm_gateway.formats._face import Asked, needed, read_object, sealed
from toka.llm_gateway.formats._json import (
    as_object,
    as_objects,
    boolean,
    integer,
    number,
    text,
)
from toka.llm_gateway.formats.anthropic._wire import citation_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toka.types import Json, JsonObject

_KNOWN: Final = frozenset(
    {
        "max_tokens",
        "messages",
        "model",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"type", "text", "citations", "cache_control"}),
    "image": frozenset({"type", "source", "cache_control"}),
    "document": frozenset({"type", "source", "title", "citations", "cache_control"}),
    "tool_use": frozenset({"type", "id", "name", "input", "cache_control"}),
    "tool_result": frozenset({"type", "tool_use_id", "content", "is_error", "cache_control"}),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
_EFFORTS: Final[Mapping[str, Effort]] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_LOW_BUDGET: Final = 4096
_MEDIUM_BUDGET: Final = 16_384


def parse_request(data: bytes) -> Asked:
    """Read a request.

    Raises:
        InvalidRequest: It is not one.

    """
    body = read_object(data)
    model = needed(body, "model")
    limit = integer(body, "max_tokens")
    if limit is None or limit < 1:
        raise InvalidRequest("max_tokens: a number from 1 is required.")
    messages = tuple([_message(said) for said in as_objects(body.get("messages"))])
    if not messages:
        raise InvalidRequest("messages: at least one message is required.")
    tools = as_objects(body.get("tools"))
    request = ModelRequest(
        messages,
        system=_system(body.get("system")),
        tools=tuple([_tool(tool) for tool in tools if _is_ours(tool)]),
        max_output_tokens=limit,
        temperature=number(body, "temperature"),
        top_p=number(body, "top_p"),
        stop=_texts(body.get("stop_sequences")),
        tool_choice=_tool_choice(as_object(body.get("tool_choice"))),
        output=_output(as_object(body.get("output_config"))),
        effort=_effort(body),
        native=_native(body, [tool for tool in tools if not _is_ours(tool)]),
    )
    return Asked(request, model, body.get("stream") is True, usage_wanted=True)


def _native(body: JsonObject, tools: list[JsonObject]) -> NativeFields | None:
    fields: dict[str, Json] = {
        name: value
        for name, value in body.items()
        if name not in _KNOWN and value is not None and name != "output_config"
    }
    config = as_object(body.get("output_config"))
    if text(config, "effort") not in {"", "low", "medium", "high"} or config.keys() - {
        "effort",
        "format",
    }:
        fields["output_config"] = config
    if tools:
        fields["tools"] = tools
    return NativeFields("anthropic", fields) if fields else None


def _effort(body: JsonObject) -> Effort | None:
    asked = text(as_object(body.get("output_config")), "effort")
    if asked:
        return _EFFORTS.get(asked)
    thinking = as_object(body.get("thinking"))
    if thinking.get("type") == "disabled":
        return "none"
    budget = integer(thinking, "budget_tokens")
    if budget is None:
        return None
    if budget <= _LOW_BUDGET:
        return "low"
    return "medium" if budget <= _MEDIUM_BUDGET else "high"


def _output(config: JsonObject) -> OutputSchema | None:
    schema = as_object(config.get("format")).get("schema")
    return None if schema is None else OutputSchema(as_object(schema))


def _tool_choice(choice: JsonObject) -> ToolChoice | None:
    if not choice:
        return None
    alone = boolean(choice, "disable_parallel_tool_use")
    parallel = None if alone is None else not alone
    match choice.get("type"):
        case "tool":
            return ToolChoice("named", needed(choice, "name"), parallel)
        case "any":
            return ToolChoice("any", parallel=parallel)
        case "none":
            return ToolChoice("none", parallel=parallel)
        case "auto":
            return ToolChoice("auto", parallel=parallel)
        case other:
            raise InvalidRequest(f"tool_choice.type: {str(other)[:40]!r} is unknown.")


def _is_ours(tool: JsonObject) -> bool:
    # Others have a dated type and are run by the provider.
    return text(tool, "type") in {"", "custom"}


def _tool(tool: JsonObject) -> ToolSchema:
    return ToolSchema(
        needed(tool, "name"),
        text(tool, "description"),
        as_object(tool.get("input_schema")),
        boolean(tool, "strict"),
        _cache(tool),
    )


def _system(system: Json) -> str | tuple[Text, ...]:
    if system is None or isinstance(system, str):
        return system or ""
    return tuple([Text(text(block, "text"), cache=_cache(block)) for block in as_objects(system)])


def _message(said: JsonObject) -> ModelMessage:
    role = _role(said)
    content = said.get("content")
    if isinstance(content, str):
        return ModelMessage(role, (Text(content),))
    return ModelMessage(role, tuple([_part(block) for block in as_objects(content)]))


def _role(said: JsonObject) -> Role:
    match said.get("role"):
        case "user":
            return "user"
        case "assistant":
            return "assistant"
        case other:
            raise InvalidRequest(f"messages: the role {str(other)[:40]!r} is unknown.")


def _part(block: JsonObject) -> Part:
    kind = text(block, "type")
    known = _FIELDS.get(kind)
    surplus = known is None or any(
        value is not None and name not in known for name, value in block.items()
    )
    return Native("anthropic", block) if surplus else _known(kind, block)


def _known(kind: str, block: JsonObject) -> Part:
    match kind:
        case "text":
            cited = tuple([citation_of(each) for each in as_objects(block.get("citations"))])
            return Text(text(block, "text"), cited, _cache(block))
        case "tool_use":
            arguments = as_object(block.get("input"))
            return ToolUse(needed(block, "id"), needed(block, "name"), arguments, _cache(block))
        case "tool_result":
            return _tool_output(block)
        case "thinking":
            return sealed(text(block, "thinking"), text(block, "signature"))
        case "redacted_thinking":
            return Reasoning("", text(block, "data"), redacted=True)
        case _:
            return _media_part(kind, block)


def _tool_output(block: JsonObject) -> Part:
    content = block.get("content")
    shown: str | tuple[Text | Image | Document, ...]
    if content is None or isinstance(content, str):
        shown = content or ""
    else:
        parts = [_part(piece) for piece in as_objects(content)]
        shown = tuple([part for part in parts if isinstance(part, Text | Image | Document)])
        if len(shown) < len(parts):
            return Native("anthropic", block)
    failed = block.get("is_error") is True
    return ToolOutput(needed(block, "tool_use_id"), shown, failed, _cache(block))


def _media_part(kind: str, block: JsonObject) -> Part:
    media = _media(as_object(block.get("source")))
    if media is None:
        return Native("anthropic", block)
    if kind == "image":
        return Image(media, _cache(block))
    cite = as_object(block.get("citations")).get("enabled") is True
    return Document(media, text(block, "title"), cite, _cache(block))


def _media(source: JsonObject) -> Media | None:
    match source.get("type"):
        case "base64":
            return Media(text(source, "data"), text(source, "media_type"))
        case "url":
            return Media(url=needed(source, "url"))
        case "file":
            return Media(file_id=needed(source, "file_id"))
        case "text":
            return Media(b64encode(text(source, "data").encode()).decode(), "text/plain")
        case _:
            return None


def _cache(block: JsonObject) -> CacheTtl | None:
    control = block.get("cache_control")
    if control is None:
        return None
    return "1h" if as_object(control).get("ttl") == "1h" else "5m"


def _texts(value: Json) -> tuple[str, ...]:
    items: Iterable[Json] = value if isinstance(value, list) else ()
    return tuple([item for item in items if isinstance(item, str)])
