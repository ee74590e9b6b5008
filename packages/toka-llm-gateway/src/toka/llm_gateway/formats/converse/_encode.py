"""Requests in Amazon Bedrock's Converse format."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final, assert_never

import msgspec

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
from toka.llm_gateway.formats._json import as_object, as_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toka.llm_gateway._messages import CacheTtl, Citation, ModelMessage, Part
    from toka.llm_gateway._request import ModelRequest, OutputSchema, ToolChoice, ToolSchema
    from toka.llm_gateway.formats._translation import Translation
    from toka.types import Json, JsonObject

_PICTURES: Final[Mapping[str, str]] = {
    "image/gif": "gif",
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
}
_DOCUMENTS: Final[Mapping[str, str]] = {
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
_NAMELESS: Final = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_CACHE: Final = "cachePoint"


def request_body(request: ModelRequest, translation: Translation) -> dict[str, Json]:
    """Return a request's body. The model is named in the path.

    Raises:
        NotTranslatable: The format cannot say this.

    """
    body: dict[str, Json] = {
        "messages": _Turns(translation).messages(request.messages),
        "inferenceConfig": _inference(request),
    }
    if request.system:
        body["system"] = _system(request.system)
    tools = _tools(request, translation)
    if tools:
        body["toolConfig"] = tools
    output = _output_config(request, translation)
    if output:
        body["outputConfig"] = output
    return _with_native(body, translation.native_fields(request))


def _with_native(body: dict[str, Json], fields: JsonObject) -> dict[str, Json]:
    said = {**body, **fields}
    for name in ("inferenceConfig", "outputConfig"):
        if name in body and name in fields:
            said[name] = {**as_object(fields[name]), **as_object(body[name])}
    if "toolConfig" in body and "toolConfig" in fields:
        # Tools that the provider runs itself, beside ours.
        ours, theirs = as_object(body["toolConfig"]), as_object(fields["toolConfig"])
        both = [*as_objects(ours.get("tools")), *as_objects(theirs.get("tools"))]
        said["toolConfig"] = {**theirs, **ours, "tools": both}
    return said


def _inference(request: ModelRequest) -> JsonObject:
    config: dict[str, Json] = {"maxTokens": request.max_output_tokens}
    if request.temperature is not None:
        config["temperature"] = request.temperature
    if request.top_p is not None:
        config["topP"] = request.top_p
    if request.stop:
        config["stopSequences"] = request.stop
    return config


def _output_config(request: ModelRequest, translation: Translation) -> JsonObject:
    config: dict[str, Json] = {}
    if request.output is not None:
        config.update(_output_format(request.output, translation))
    if request.effort == "none":
        translation.leave_out("the wish for no reasoning")
    elif request.effort is not None:
        config["effort"] = request.effort
    return config


def _output_format(output: OutputSchema, translation: Translation) -> JsonObject:
    if output.schema is None:
        translation.leave_out("the wish for any JSON object")
        return {}
    if output.strict is False:
        translation.leave_out("the wish for a loose schema")
    schema = msgspec.json.encode(output.schema).decode()
    structure: JsonObject = {"jsonSchema": {"schema": schema, "name": output.name}}
    return {"textFormat": {"type": "json_schema", "structure": structure}}


def _tools(request: ModelRequest, translation: Translation) -> JsonObject:
    choice = request.tool_choice
    if not request.tools:
        return {}
    if choice is not None and choice.mode == "none":
        raise translation.refuse("tools that must not be used")
    said: dict[str, Json] = {"tools": [entry for tool in request.tools for entry in _tool(tool)]}
    if choice is not None:
        said["toolChoice"] = _choice(choice, translation)
    return said


def _tool(tool: ToolSchema) -> Iterator[JsonObject]:
    said: dict[str, Json] = {"name": tool.name, "inputSchema": {"json": tool.parameters}}
    if tool.description:
        said["description"] = tool.description
    if tool.strict is not None:
        said["strict"] = tool.strict
    yield {"toolSpec": said}
    yield from _cached(tool.cache)


def _choice(choice: ToolChoice, translation: Translation) -> JsonObject:
    if choice.parallel is not None:
        translation.leave_out("whether tools may be asked for at once")
    return {"tool": {"name": choice.name}} if choice.mode == "named" else {choice.mode: {}}


def _system(system: str | tuple[Text, ...]) -> list[Json]:
    if isinstance(system, str):
        return [{"text": system}]
    return [
        block
        for part in system
        if part.text
        for block in ({"text": part.text}, *_cached(part.cache))
    ]


def _cached(cache: CacheTtl | None) -> Iterator[JsonObject]:
    # Not a mark on what comes before, but a block of its own behind it.
    if cache == "5m":
        yield {_CACHE: {"type": "default"}}
    elif cache is not None:
        yield {_CACHE: {"type": "default", "ttl": cache}}


class _Turns:
    """Writes the messages of one request."""

    def __init__(self, translation: Translation) -> None:
        self._translation: Final = translation
        self._documents: Final[set[str]] = set()

    def messages(self, messages: Iterable[ModelMessage]) -> list[Json]:
        """Return the messages; the roles must alternate, and none may be empty."""
        spoken = [
            (message.role, blocks)
            for message in messages
            if (blocks := [block for part in message.parts for block in self._blocks(part)])
        ]
        return [
            {"role": role, "content": [block for _, blocks in group for block in blocks]}
            for role, group in itertools.groupby(spoken, key=lambda pair: pair[0])
        ]

    def _blocks(self, part: Part) -> Iterator[JsonObject]:
        block = self._block(part)
        if block is not None:
            yield block
            if not isinstance(part, Reasoning | Native):
                yield from _cached(part.cache)

    def _block(self, part: Part) -> JsonObject | None:
        match part:
            case Text():
                return self._text(part)
            case ToolUse() | ToolOutput():
                return self._tool(part)
            case Reasoning():
                return self._reasoning(part)
            case Image():
                return self._image(part)
            case Document():
                return self._document(part)
            case Native():
                return self._translation.native(part)
            case _:
                assert_never(part)

    def _text(self, part: Text) -> JsonObject | None:
        if not part.text:
            # An empty text block is refused.
            return None
        cited = [dict(data) for data in self._citations(part.citations)]
        if cited:
            return {"citationsContent": {"content": [{"text": part.text}], "citations": cited}}
        return {"text": part.text}

    def _citations(self, citations: Iterable[Citation]) -> Iterator[JsonObject]:
        for citation in citations:
            if citation.format == "converse" and citation.data:
                yield citation.data
            else:
                self._translation.leave_out("another provider's citation")

    def _tool(self, part: ToolUse | ToolOutput) -> JsonObject:
        if isinstance(part, ToolUse):
            use: JsonObject = {"toolUseId": part.id, "name": part.name, "input": part.arguments}
            return {"toolUse": use}
        content: list[Json] = (
            [{"text": part.content}]
            if isinstance(part.content, str)
            else [block for piece in part.content for block in self._uncached(piece)]
        )
        status = "error" if part.is_error else "success"
        return {"toolResult": {"toolUseId": part.tool_use_id, "content": content, "status": status}}

    def _uncached(self, piece: Text | Image | Document) -> Iterator[JsonObject]:
        if piece.cache:
            self._translation.leave_out("a cache mark inside a tool's output")
        block = self._block(piece)
        if block is not None:
            yield block

    def _reasoning(self, part: Reasoning) -> JsonObject | None:
        if not part.signature or part.format != "converse":
            # Another provider's reasoning: without the right seal it would be refused.
            self._translation.leave_out("another provider's reasoning")
            return None
        if part.redacted:
            return {"reasoningContent": {"redactedContent": part.signature}}
        thought: JsonObject = {"text": part.text, "signature": part.signature}
        return {"reasoningContent": {"reasoningText": thought}}

    def _image(self, part: Image) -> JsonObject:
        if part.detail:
            self._translation.leave_out("how closely to look at an image")
        return {"image": self._source(part.media, _PICTURES, "an image")}

    def _document(self, part: Document) -> JsonObject:
        said = {
            **self._source(part.media, _DOCUMENTS, "a document"),
            "name": self._name(part.title),
        }
        if part.cite:
            said["citations"] = {"enabled": True}
        return {"document": said}

    def _source(self, media: Media, kinds: Mapping[str, str], what: str) -> dict[str, Json]:
        if media.file_id or (media.url and not media.url.startswith("s3://")):
            raise self._translation.refuse(f"{what} that is neither here nor in Amazon S3")
        kind = kinds.get(media.media_type)
        if kind is None:
            raise self._translation.refuse(f"{what} of type {media.media_type[:40]!r}")
        if media.url:
            return {"format": kind, "source": {"s3Location": {"uri": media.url}}}
        return {"format": kind, "source": {"bytes": media.data}}

    def _name(self, title: str) -> str:
        """Return a document's title as a name: few characters, and none twice in a request."""
        plain = _NAMELESS.sub(" ", title).strip()[:180] or "document"
        names = itertools.chain([plain], (f"{plain} {n}" for n in itertools.count(2)))
        name = next(each for each in names if each not in self._documents)
        self._documents.add(name)
        return name
