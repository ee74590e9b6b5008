"""Requests in OpenAI's Responses format: items, in the order in which things were said."""

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
from toka.llm_gateway.formats._json import as_objects

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
ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"


def request_body(request: ModelRequest, model: str, translation: Translation) -> dict[str, Json]:
    """Return a request's body. Nothing is stored at the provider: the conversation is whole.

    Raises:
        NotTranslatable: The format cannot say this.

    """
    if request.stop:
        raise translation.refuse("stop texts")
    body: dict[str, Json] = {
        "model": model,
        "input": list(_items(request.messages, translation)),
        "max_output_tokens": request.max_output_tokens,
        "store": False,
        "include": [ENCRYPTED_REASONING],
    }
    if request.system:
        body["instructions"] = _instructions(request, translation)
    if request.tools:
        body["tools"] = [_tool(tool, translation) for tool in request.tools]
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.effort is not None:
        body["reasoning"] = {"effort": request.effort}
    if request.tool_choice is not None:
        _choose(body, request.tool_choice)
    if request.output is not None:
        body["text"] = {"format": _text_format(request.output)}
    fields = translation.native_fields(request)
    said = {**body, **fields}
    if "tools" in body and "tools" in fields:
        said["tools"] = [*as_objects(body["tools"]), *as_objects(fields["tools"])]
    return said


def _instructions(request: ModelRequest, translation: Translation) -> str:
    if not isinstance(request.system, str) and any(part.cache for part in request.system):
        translation.leave_out("a cache mark")
    return request.system_text


def _choose(body: dict[str, Json], choice: ToolChoice) -> None:
    if choice.mode == "named":
        body["tool_choice"] = {"type": "function", "name": choice.name}
    else:
        body["tool_choice"] = _CHOICES[choice.mode]
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel


def _text_format(output: OutputSchema) -> JsonObject:
    if output.schema is None:
        return {"type": "json_object"}
    said: dict[str, Json] = {
        "type": "json_schema",
        "name": output.name,
        "schema": output.schema,
    }
    if output.strict is not None:
        said["strict"] = output.strict
    return said


def _tool(tool: ToolSchema, translation: Translation) -> JsonObject:
    if tool.cache:
        translation.leave_out("a cache mark")
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        # Left out it would mean true, and many schemas are not fit for that.
        "strict": bool(tool.strict),
    }


def _items(messages: tuple[ModelMessage, ...], translation: Translation) -> Iterator[JsonObject]:
    for message in messages:
        said: list[JsonObject] = []
        for part in message.parts:
            item = _item(part, translation)
            if item is None:
                said.extend(_content(part, message.role, translation))
                continue
            if said:
                yield {"type": "message", "role": message.role, "content": said}
                said = []
            if item:
                yield item
        if said:
            yield {"type": "message", "role": message.role, "content": said}


def _item(part: Part, translation: Translation) -> JsonObject | None:
    """Return the item that a part is; None if it belongs into a message, empty if left out."""
    match part:
        case ToolUse():
            return {
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": encode_body(part.arguments).decode(),
            }
        case ToolOutput():
            return _output(part, translation)
        case Reasoning(_, signature, _, "responses") if signature:
            item: JsonObject = msgspec.json.decode(signature)
            return item
        case Reasoning():
            translation.leave_out("another provider's reasoning")
            return {}
        case Native():
            native = translation.native(part)
            return None if part.kind.startswith("input_") else native
        case _:
            return None


def _output(part: ToolOutput, translation: Translation) -> JsonObject:
    if part.is_error:
        translation.leave_out("the mark of a failed tool")
    if part.cache:
        translation.leave_out("a cache mark")
    output: Json = part.content if isinstance(part.content, str) else None
    if not isinstance(part.content, str):
        output = [piece for shown in part.content for piece in _content(shown, "user", translation)]
    return {"type": "function_call_output", "call_id": part.tool_use_id, "output": output}


def _content(part: Part, role: str, translation: Translation) -> Iterator[JsonObject]:
    if isinstance(part, Text | Image | Document) and part.cache:
        translation.leave_out("a cache mark")
    match part:
        case Text() if role == "assistant":
            cited = [dict(each.data) for each in part.citations if each.format == "responses"]
            if len(cited) < len(part.citations):
                translation.leave_out("another provider's citation")
            yield {"type": "output_text", "text": part.text, "annotations": cited}
        case Text(text):
            yield {"type": "input_text", "text": text}
        case Image():
            yield _image(part)
        case Document():
            yield _file(part, translation)
        case Native():
            yield translation.native(part)
        case _:
            raise translation.refuse(f"{type(part).__name__} in a message")


def _image(part: Image) -> JsonObject:
    said: dict[str, Json] = {"type": "input_image", "detail": part.detail or "auto"}
    if part.media.file_id:
        said["file_id"] = part.media.file_id
    else:
        said["image_url"] = part.media.data_url
    return said


def _file(part: Document, translation: Translation) -> JsonObject:
    if part.cite:
        translation.leave_out("the wish for citations")
    if part.media.file_id:
        return {"type": "input_file", "file_id": part.media.file_id}
    if part.media.url:
        return {"type": "input_file", "file_url": part.media.url}
    title = part.title or "document"
    return {"type": "input_file", "filename": title, "file_data": part.media.data_url}
