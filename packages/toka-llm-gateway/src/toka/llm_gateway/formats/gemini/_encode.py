"""Requests in Google's Gemini format."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from toka.llm_gateway._messages import (
    Document,
    Image,
    Media,
    Native,
    Reasoning,
    Text,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway.formats._json import as_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._messages import ModelMessage, Part
    from toka.llm_gateway._request import ModelRequest, ToolChoice, ToolSchema
    from toka.llm_gateway.formats._translation import Translation
    from toka.types import Json, JsonObject

_MODES: Final[Mapping[str, str]] = {"auto": "AUTO", "any": "ANY", "none": "NONE", "named": "ANY"}


def request_body(request: ModelRequest, translation: Translation) -> dict[str, Json]:
    """Return a request's body. The model is named in the path.

    Raises:
        NotTranslatable: The format cannot say this.

    """
    body: dict[str, Json] = {
        "contents": _contents(request, translation),
        "generationConfig": _generation(request, translation),
    }
    if request.system:
        if not isinstance(request.system, str) and any(part.cache for part in request.system):
            translation.leave_out("a cache mark")
        body["systemInstruction"] = {"parts": [{"text": request.system_text}]}
    if request.tools:
        declared = [_tool(tool, translation) for tool in request.tools]
        body["tools"] = [{"functionDeclarations": declared}]
    if request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _choice(request.tool_choice, translation)}
    fields = translation.native_fields(request)
    said = {**body, **fields}
    if "tools" in body and "tools" in fields:
        said["tools"] = [*as_objects(body["tools"]), *as_objects(fields["tools"])]
    return said


def _generation(request: ModelRequest, translation: Translation) -> JsonObject:
    config: dict[str, Json] = {"maxOutputTokens": request.max_output_tokens}
    if request.temperature is not None:
        config["temperature"] = request.temperature
    if request.top_p is not None:
        config["topP"] = request.top_p
    if request.stop:
        config["stopSequences"] = request.stop
    if request.effort == "none":
        config["thinkingConfig"] = {"thinkingBudget": 0}
    elif request.effort is not None:
        config["thinkingConfig"] = {"thinkingLevel": request.effort, "includeThoughts": True}
    if request.output is not None:
        config["responseMimeType"] = "application/json"
        if request.output.schema is not None:
            config["responseJsonSchema"] = request.output.schema
        if request.output.strict is False:
            translation.leave_out("the wish for a loose schema")
    return config


def _tool(tool: ToolSchema, translation: Translation) -> JsonObject:
    if tool.cache:
        translation.leave_out("a cache mark")
    return {
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": tool.parameters,
    }


def _choice(choice: ToolChoice, translation: Translation) -> JsonObject:
    if choice.parallel is not None:
        translation.leave_out("whether tools may be asked for at once")
    said: dict[str, Json] = {"mode": _MODES[choice.mode]}
    if choice.mode == "named":
        said["allowedFunctionNames"] = [choice.name]
    return said


def _contents(request: ModelRequest, translation: Translation) -> list[Json]:
    # Outputs are answered to by the tool's name here, which only the use knows.
    names = {use.id: use.name for message in request.messages for use in message.tool_uses}
    spoken = [
        ("model" if message.role == "assistant" else "user", parts)
        for message in request.messages
        if (parts := list(_parts(message, names, translation)))
    ]
    return [
        {"role": role, "parts": [part for _, parts in group for part in parts]}
        for role, group in itertools.groupby(spoken, key=lambda pair: pair[0])
    ]


def _parts(
    message: ModelMessage, names: Mapping[str, str], translation: Translation
) -> Iterator[JsonObject]:
    seal = ""
    for part in message.parts:
        if isinstance(part, Reasoning):
            if part.format != "gemini" or not part.signature:
                translation.leave_out("another provider's reasoning")
            elif part.redacted:
                seal = part.signature
            else:
                yield {"text": part.text, "thought": True, "thoughtSignature": part.signature}
            continue
        if isinstance(part, Text) and not part.text and not seal:
            continue
        said = _part(part, names, translation)
        yield {**said, "thoughtSignature": seal} if seal else said
        seal = ""


def _part(part: Part, names: Mapping[str, str], translation: Translation) -> JsonObject:
    match part:
        case Native():
            return translation.native(part)
        case Reasoning():
            raise translation.refuse("reasoning here")
        case _:
            if part.cache:
                translation.leave_out("a cache mark")
            return _plain_part(part, names, translation)


def _plain_part(
    part: Text | Image | Document | ToolUse | ToolOutput,
    names: Mapping[str, str],
    translation: Translation,
) -> JsonObject:
    match part:
        case Text(text, citations):
            if citations:
                translation.leave_out("a citation")
            return {"text": text}
        case ToolUse(identifier, name, arguments):
            return {"functionCall": {"id": identifier, "name": name, "args": arguments}}
        case ToolOutput():
            return _output(part, names, translation)
        case Image(media):
            if part.detail:
                translation.leave_out("how closely to look at an image")
            return _media(media)
        case Document(media):
            if part.cite:
                translation.leave_out("the wish for citations")
            return _media(media)


def _output(part: ToolOutput, names: Mapping[str, str], translation: Translation) -> JsonObject:
    name = names.get(part.tool_use_id)
    if name is None:
        raise translation.refuse("a tool's output without the use that it answers to")
    if not isinstance(part.content, str) and any(
        not isinstance(piece, Text) for piece in part.content
    ):
        raise translation.refuse("a tool's output with an image or a document")
    result: JsonObject = {"error" if part.is_error else "output": part.text}
    return {"functionResponse": {"id": part.tool_use_id, "name": name, "response": result}}


def _media(media: Media) -> JsonObject:
    address = media.url or media.file_id
    if address:
        said: dict[str, Json] = {"fileUri": address}
        if media.media_type:
            said["mimeType"] = media.media_type
        return {"fileData": said}
    return {"inlineData": {"mimeType": media.media_type, "data": media.data}}
