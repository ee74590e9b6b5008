"""Requests in OpenAI's chat completions format, as a server reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.llm_gateway._errors import InvalidRequest, NotTranslatable
from toka.llm_gateway._messages import (
    Document,
    Image,
    Media,
    ModelMessage,
    Native,
    Part,
    Reasoning,
    Text,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway._request import (
    DEFAULT_MAX_OUTPUT_TOKENS,
    Effort,
    ModelRequest,
    NativeFields,
    OutputSchema,
    ToolChoice,
    ToolSchema,
)
from toka.llm_gateway.formats._face import Asked, given_arguments, needed, read_object, sealed
from toka.llm_gateway.formats._json import (
    as_object,
    as_objects,
    boolean,
    integer,
    number,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.types import Json, JsonObject

_KNOWN: Final = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)
_DEFAULTS: Final[Mapping[str, Json]] = {
    "frequency_penalty": 0,
    "logprobs": False,
    "n": 1,
    "presence_penalty": 0,
    "modalities": ["text"],
}
_UNANSWERABLE: Final = ("n", "logprobs", "top_logprobs", "modalities", "audio", "functions")
"""What these ask for has no place in an answer of ours."""
_EFFORTS: Final[Mapping[str, Effort]] = {
    "none": "none",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}
_SYSTEM: Final = ("system", "developer")


def parse_request(data: bytes) -> Asked:
    """Read a request.

    Raises:
        InvalidRequest: It is not one.

    """
    body = read_object(data)
    model = needed(body, "model")
    said = as_objects(body.get("messages"))
    leading = 0
    while leading < len(said) and text(said[leading], "role") in _SYSTEM:
        leading += 1
    messages = tuple(_messages(said[leading:]))
    if not messages:
        raise InvalidRequest("messages: at least one message besides the system's is required.")
    effort = text(body, "reasoning_effort")
    request = ModelRequest(
        messages,
        system="\n\n".join([_plain(each.get("content")) for each in said[:leading]]),
        tools=tuple([_tool(tool) for tool in as_objects(body.get("tools"))]),
        max_output_tokens=_limit(body),
        temperature=number(body, "temperature"),
        top_p=number(body, "top_p"),
        stop=_stop(body.get("stop")),
        tool_choice=_tool_choice(body),
        output=_output(as_object(body.get("response_format"))),
        effort=_EFFORTS.get(effort),
        native=_native(body, effort),
    )
    usage_wanted = as_object(body.get("stream_options")).get("include_usage") is True
    return Asked(request, model, body.get("stream") is True, usage_wanted)


def _limit(body: JsonObject) -> int:
    limit = integer(body, "max_completion_tokens") or integer(body, "max_tokens")
    if limit is not None and limit < 1:
        raise InvalidRequest("max_tokens: a number from 1 is required.")
    return limit or DEFAULT_MAX_OUTPUT_TOKENS


def _native(body: JsonObject, effort: str) -> NativeFields | None:
    fields = {
        name: value
        for name, value in body.items()
        if name not in _KNOWN and value is not None and _DEFAULTS.get(name, ...) != value
    }
    for name in _UNANSWERABLE:
        if name in fields:
            raise NotTranslatable(
                f"{name}: what this asks for cannot be answered here.", details={"what": name}
            )
    if effort not in {"", "none", "low", "medium", "high"}:
        fields["reasoning_effort"] = effort
    return NativeFields("chat", fields) if fields else None


def _stop(value: Json) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(
        [item for item in value if isinstance(item, str)] if isinstance(value, list) else ()
    )


def _tool_choice(body: JsonObject) -> ToolChoice | None:
    choice, parallel = body.get("tool_choice"), boolean(body, "parallel_tool_calls")
    match choice:
        case None:
            return None if parallel is None else ToolChoice(parallel=parallel)
        case "auto":
            return ToolChoice("auto", parallel=parallel)
        case "none":
            return ToolChoice("none", parallel=parallel)
        case "required":
            return ToolChoice("any", parallel=parallel)
        case _:
            function = as_object(as_object(choice).get("function"))
            return ToolChoice("named", needed(function, "name"), parallel)


def _output(wanted: JsonObject) -> OutputSchema | None:
    match wanted.get("type"):
        case "json_object":
            return OutputSchema(None)
        case "json_schema":
            described = as_object(wanted.get("json_schema"))
            schema = as_object(described.get("schema"))
            return OutputSchema(
                schema, text(described, "name") or "answer", boolean(described, "strict")
            )
        case _:
            return None


def _tool(tool: JsonObject) -> ToolSchema:
    if tool.get("type") != "function":
        kind = str(tool.get("type"))[:40]
        raise NotTranslatable(f"tools: the type {kind!r} is not supported.", details={"what": kind})
    function = as_object(tool.get("function"))
    parameters = as_object(function.get("parameters")) or {"type": "object", "properties": {}}
    return ToolSchema(
        needed(function, "name"),
        text(function, "description"),
        parameters,
        boolean(function, "strict"),
    )


def _messages(said: list[JsonObject]) -> Iterator[ModelMessage]:
    outputs: list[ToolOutput] = []
    for message in said:
        if message.get("role") == "tool":
            outputs.append(_tool_output(message))
            continue
        if outputs:
            yield ModelMessage("user", tuple(outputs))
            outputs = []
        yield _message(message)
    if outputs:
        yield ModelMessage("user", tuple(outputs))


def _message(said: JsonObject) -> ModelMessage:
    match said.get("role"):
        case "assistant":
            return ModelMessage("assistant", tuple(_assistant(said)))
        case "user" if not said.get("name"):
            return ModelMessage("user", tuple(_content(said.get("content"))))
        case "user" | "system" | "developer":
            # What only this format has: a system's word in between, a name for the user.
            return ModelMessage("user", (Native("chat", said),))
        case other:
            raise InvalidRequest(f"messages: the role {str(other)[:40]!r} is unknown.")


def _assistant(said: JsonObject) -> Iterator[Part]:
    thought = text(said, "reasoning_content", "reasoning")
    details = as_objects(said.get("reasoning_details"))
    if details and details[0].get("type") == "toka":
        for each in details:
            yield sealed(text(each, "text"), text(each, "signature"))
    elif thought:
        yield Reasoning(thought, format="chat")
    yield from _content(said.get("content"))
    if text(said, "refusal"):
        yield Text(text(said, "refusal"))
    for call in as_objects(said.get("tool_calls")):
        function = as_object(call.get("function"))
        name = needed(function, "name")
        yield ToolUse(needed(call, "id"), name, given_arguments(text(function, "arguments"), name))


def _tool_output(said: JsonObject) -> ToolOutput:
    content = said.get("content")
    identifier = needed(said, "tool_call_id")
    if isinstance(content, str):
        return ToolOutput(identifier, content)
    return ToolOutput(identifier, _plain(content))


def _plain(content: Json) -> str:
    if isinstance(content, str):
        return content
    return "".join([text(piece, "text") for piece in as_objects(content)])


def _content(content: Json) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    for piece in as_objects(content):
        yield _content_part(piece)


def _content_part(piece: JsonObject) -> Part:
    match piece.get("type"):
        case "text":
            return Text(text(piece, "text"))
        case "refusal":
            return Text(text(piece, "refusal"))
        case "image_url":
            image = as_object(piece.get("image_url"))
            return Image(Media.at(needed(image, "url")), detail=text(image, "detail"))
        case "file":
            return _document(as_object(piece.get("file")))
        case _:
            return Native("chat", piece)


def _document(file: JsonObject) -> Document:
    if text(file, "file_id"):
        return Document(Media(file_id=text(file, "file_id")))
    return Document(Media.at(needed(file, "file_data")), text(file, "filename"))
