"""Requests in Anthropic's Messages format."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, assert_never

from toka.llm_gateway._messages import (
    Citation,
    Document,
    Image,
    Media,
    Native,
    Reasoning,
    Text,
    ToolOutput,
    ToolUse,
)
from toka.llm_gateway.formats._json import as_object, as_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toka.llm_gateway._messages import CacheTtl, ModelMessage, Part
    from toka.llm_gateway._request import (
        ModelRequest,
        OutputSchema,
        ToolChoice,
        ToolSchema,
    )
    from toka.llm_gateway.formats._translation import Translation
    from toka.types import Json, JsonObject

_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "any": "any", "none": "none", "named": "tool"}


def request_body(request: ModelRequest, model: str, translation: Translation) -> dict[str, Json]:
    """Return a request's body.

    Raises:
        NotTranslatable: The format cannot say this.

    """
    body: dict[str, Json] = {
        "model": model,
        "max_tokens": request.max_output_tokens,
        "messages": _messages(request.messages, translation),
    }
    if request.system:
        body["system"] = _system(request.system, translation)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    fields = translation.native_fields(request)
    if request.output is not None or not fields.keys() & {"thinking", "output_config"}:
        _steer(body, request, translation)
    return _with_native(body, fields)


def _steer(body: dict[str, Json], request: ModelRequest, translation: Translation) -> None:
    config: dict[str, Json] = {}
    if request.output is not None:
        config.update(_output_format(request.output, translation))
    if request.effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif request.effort is not None:
        config["effort"] = request.effort
    if config:
        body["output_config"] = config


def _output_format(output: OutputSchema, translation: Translation) -> JsonObject:
    if output.schema is None:
        translation.leave_out("the wish for any JSON object")
        return {}
    return {"format": {"type": "json_schema", "schema": output.schema}}


def _with_native(body: dict[str, Json], fields: JsonObject) -> dict[str, Json]:
    said = {**body, **fields}
    if "tools" in body and "tools" in fields:
        # Tools that the provider runs itself, beside ours.
        said["tools"] = [*as_objects(body["tools"]), *as_objects(fields["tools"])]
    if "output_config" in body and "output_config" in fields:
        said["output_config"] = {
            **as_object(fields["output_config"]),
            **as_object(body["output_config"]),
        }
    return said


def _tool(tool: ToolSchema) -> JsonObject:
    said: dict[str, Json] = {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.parameters,
    }
    if tool.strict is not None:
        said["strict"] = tool.strict
    return _cached(said, tool.cache)


def _tool_choice(choice: ToolChoice) -> JsonObject:
    said: dict[str, Json] = {"type": _CHOICES[choice.mode]}
    if choice.mode == "named":
        said["name"] = choice.name
    if choice.parallel is not None and choice.mode != "none":
        said["disable_parallel_tool_use"] = not choice.parallel
    return said


def _system(system: str | tuple[Text, ...], translation: Translation) -> Json:
    if isinstance(system, str):
        return system
    return [_text(part, translation) for part in system if part.text]


def _messages(messages: Iterable[ModelMessage], translation: Translation) -> list[Json]:
    # The roles must alternate, and a model may have answered with nothing at all: what has no
    # blocks is left out, and neighbours of one role become one message.
    spoken = [
        (message.role, blocks) for message in messages if (blocks := _blocks(message, translation))
    ]
    return [
        {"role": role, "content": [block for _, blocks in group for block in blocks]}
        for role, group in itertools.groupby(spoken, key=lambda pair: pair[0])
    ]


def _blocks(message: ModelMessage, translation: Translation) -> list[Json]:
    # Tool results come first in their message, or the provider does not see that they answer.
    parts: Iterable[Part] = message.parts
    if message.role == "user":
        parts = sorted(parts, key=lambda part: not isinstance(part, ToolOutput))
    return [block for part in parts if (block := _block(part, translation)) is not None]


def _block(part: Part, translation: Translation) -> JsonObject | None:
    match part:
        case Text():
            # An empty text block is refused.
            return _text(part, translation) if part.text else None
        case ToolUse():
            return _tool_use(part)
        case ToolOutput():
            return _tool_result(part, translation)
        case Reasoning():
            return _thinking(part, translation)
        case Image() | Document():
            return _media_block(part, translation)
        case Native():
            return translation.native(part)
        case _:
            assert_never(part)


def _tool_use(part: ToolUse) -> JsonObject:
    use: JsonObject = {
        "type": "tool_use",
        "id": part.id,
        "name": part.name,
        "input": part.arguments,
    }
    return _cached(use, part.cache)


def _text(part: Text, translation: Translation) -> JsonObject:
    said: dict[str, Json] = {"type": "text", "text": part.text}
    citations = [dict(cited) for cited in _citations(part.citations, translation)]
    if citations:
        said["citations"] = citations
    return _cached(said, part.cache)


def _citations(citations: Iterable[Citation], translation: Translation) -> Iterable[JsonObject]:
    for citation in citations:
        if citation.format == "anthropic" and citation.data:
            yield citation.data
        else:
            translation.leave_out("another provider's citation")


def _tool_result(part: ToolOutput, translation: Translation) -> JsonObject:
    content: Json = (
        part.content
        if isinstance(part.content, str)
        else [block for piece in part.content if (block := _block(piece, translation)) is not None]
    )
    said: dict[str, Json] = {
        "type": "tool_result",
        "tool_use_id": part.tool_use_id,
        "content": content,
    }
    if part.is_error:
        said["is_error"] = True
    return _cached(said, part.cache)


def _thinking(part: Reasoning, translation: Translation) -> JsonObject | None:
    if not part.signature or part.format != "anthropic":
        # Another provider's reasoning: without the right seal it would be refused.
        translation.leave_out("another provider's reasoning")
        return None
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.signature}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _media_block(part: Image | Document, translation: Translation) -> JsonObject:
    if isinstance(part, Image):
        if part.detail:
            translation.leave_out("how closely to look at an image")
        return _cached({"type": "image", "source": _source(part.media)}, part.cache)
    said: dict[str, Json] = {"type": "document", "source": _source(part.media)}
    if part.title:
        said["title"] = part.title
    if part.cite:
        said["citations"] = {"enabled": True}
    return _cached(said, part.cache)


def _source(media: Media) -> JsonObject:
    if media.file_id:
        return {"type": "file", "file_id": media.file_id}
    if media.url:
        return {"type": "url", "url": media.url}
    if media.media_type == "text/plain":
        return {"type": "text", "media_type": "text/plain", "data": media.decoded_text()}
    return {"type": "base64", "media_type": media.media_type, "data": media.data}


def _cached(block: Mapping[str, Json], cache: CacheTtl | None) -> JsonObject:
    if cache is None:
        return block
    control: dict[str, Json] = {"type": "ephemeral"}
    if cache != "5m":
        control["ttl"] = cache
    return {**block, "cache_control": control}
