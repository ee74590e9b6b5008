"""Requests in OpenAI's chat completions format.

The format has no place for reasoning and for the mark of a failed tool. Reasoning is left out, the
output's text has to say that the tool failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._messages import (
    Document,
    Image,
    Native,
    Reasoning,
    Text,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway.formats._dialect import encode_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._messages import ModelMessage, Part
    from toka.llm_gateway._request import (
        ModelRequest,
        OutputSchema,
        ToolChoice,
        ToolSchema,
    )
    from toka.llm_gateway.formats._translation import Translation
    from toka.types import Json, JsonObject

_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "any": "required", "none": "none"}


def request_body(
    request: ModelRequest, model: str, limit_field: str, translation: Translation
) -> dict[str, Json]:
    """Return a request's body.

    Raises:
        NotTranslatable: The format cannot say this.

    """
    body: dict[str, Json] = {
        "model": model,
        "messages": list(_messages(request, translation)),
        limit_field: request.max_output_tokens,
    }
    if request.tools:
        body["tools"] = [_tool(tool, translation) for tool in request.tools]
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.stop:
        body["stop"] = request.stop
    if request.effort is not None:
        body["reasoning_effort"] = request.effort
    if request.tool_choice is not None:
        _choose(body, request.tool_choice)
    if request.output is not None:
        body["response_format"] = _response_format(request.output)
    return {**body, **translation.native_fields(request)}


def _choose(body: dict[str, Json], choice: ToolChoice) -> None:
    if choice.mode == "named":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    else:
        body["tool_choice"] = _CHOICES[choice.mode]
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel


def _response_format(output: OutputSchema) -> JsonObject:
    if output.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Json] = {"name": output.name, "schema": output.schema}
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


def _tool(tool: ToolSchema, translation: Translation) -> JsonObject:
    if tool.cache:
        translation.leave_out("a cache mark")
    function: dict[str, Json] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _messages(request: ModelRequest, translation: Translation) -> Iterator[JsonObject]:
    if request.system:
        yield {"role": "system", "content": _system(request.system, translation)}
    for message in request.messages:
        if message.role == "assistant":
            yield _assistant(message, translation)
        else:
            yield from _user(message, translation)


def _system(system: str | tuple[Text, ...], translation: Translation) -> Json:
    if isinstance(system, str):
        return system
    return _content([_content_part(part, translation) for part in system])


def _user(message: ModelMessage, translation: Translation) -> Iterator[JsonObject]:
    # The answers to tool calls follow the calls at once; what the user says besides comes after.
    said: list[JsonObject] = []
    for part in message.parts:
        if isinstance(part, ToolOutput):
            yield _tool_message(part, translation)
        elif isinstance(part, Native) and "role" in part.data:
            # A message of a kind that only this format has.
            yield translation.native(part)
        else:
            said.append(_content_part(part, translation))
    if said:
        yield {"role": "user", "content": _content(said)}


def _tool_message(part: ToolOutput, translation: Translation) -> JsonObject:
    if part.is_error:
        translation.leave_out("the mark of a failed tool")
    if part.cache:
        translation.leave_out("a cache mark")
    content: Json = part.content if isinstance(part.content, str) else None
    if not isinstance(part.content, str):
        pieces: list[JsonObject] = []
        for piece in part.content:
            if not isinstance(piece, Text):
                raise translation.refuse(f"a tool's output with {type(piece).__name__}")
            pieces.append(_content_part(piece, translation))
        content = _content(pieces) if pieces else ""
    return {"role": "tool", "tool_call_id": part.tool_use_id, "content": content}


def _content(parts: list[JsonObject]) -> Json:
    if len(parts) == 1 and parts[0].get("type") == "text":
        return parts[0]["text"]
    return list(parts)


def _content_part(part: Part, translation: Translation) -> JsonObject:
    if isinstance(part, Text | Image | Document) and part.cache:
        translation.leave_out("a cache mark")
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media):
            if media.file_id:
                raise translation.refuse("an image by its file's name")
            image: dict[str, Json] = {"url": media.data_url}
            if part.detail:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Document():
            return {"type": "file", "file": _file(part, translation)}
        case Native():
            return translation.native(part)
        case _:
            raise translation.refuse(f"{type(part).__name__} in a user's message")


def _file(part: Document, translation: Translation) -> JsonObject:
    if part.cite:
        translation.leave_out("the wish for citations")
    if part.media.file_id:
        return {"file_id": part.media.file_id}
    if part.media.url:
        raise translation.refuse("a document by its address")
    return {"filename": part.title or "document", "file_data": part.media.data_url}


def _assistant(message: ModelMessage, translation: Translation) -> JsonObject:
    said: dict[str, Json] = {"role": "assistant", "content": message.text}
    calls: list[JsonObject] = []
    for part in message.parts:
        match part:
            case Text():
                if part.citations:
                    translation.leave_out("a citation")
            case ToolUse():
                calls.append(_tool_call(part))
            case Reasoning():
                _reason(said, part, translation)
            case Native():
                raise translation.refuse(f"content of type {part.kind[:40]!r}")
            case _:
                raise translation.refuse(f"{type(part).__name__} in a model's message")
    if calls:
        said["content"] = message.text or None
        said["tool_calls"] = calls
    return said


def _reason(said: dict[str, Json], part: Reasoning, translation: Translation) -> None:
    if part.format == "chat" and part.signature:
        # What OpenRouter and others seal; see `reasoning_details` in `message_of`.
        said["reasoning_details"] = msgspec.json.decode(part.signature)
    else:
        translation.leave_out("reasoning")


def _tool_call(use: ToolUse) -> JsonObject:
    arguments = encode_body(use.arguments).decode()
    function: JsonObject = {"name": use.name, "arguments": arguments}
    return {"id": use.id, "type": "function", "function": function}
