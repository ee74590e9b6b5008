"""Requests in OpenAI's Responses format, as a server reads them."""

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
    Role,
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
from toka.llm_gateway.formats.chat._wire import citation_of
from toka.llm_gateway.formats.responses._decode import reasoning_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.types import Json, JsonObject

_KNOWN: Final = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "model",
        "parallel_tool_calls",
        "store",
        "stream",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
    }
)
_STORED: Final = ("previous_response_id", "conversation", "background", "prompt")
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
        InvalidRequest: It is not one, or builds on what would have to be stored here.

    """
    body = read_object(data)
    model = needed(body, "model")
    for name in _STORED:
        if body.get(name):
            raise NotTranslatable(
                f"{name}: nothing is stored here; send the whole conversation.",
                details={"what": name},
            )
    systems, messages = _conversation(body.get("input"))
    if not messages:
        raise InvalidRequest("input: at least one message is required.")
    instructions = text(body, "instructions")
    request = ModelRequest(
        messages,
        system="\n\n".join([said for said in (instructions, *systems) if said]),
        tools=tuple([_tool(tool) for tool in as_objects(body.get("tools")) if _is_ours(tool)]),
        max_output_tokens=integer(body, "max_output_tokens") or DEFAULT_MAX_OUTPUT_TOKENS,
        temperature=number(body, "temperature"),
        top_p=number(body, "top_p"),
        tool_choice=_tool_choice(body),
        output=_output(as_object(as_object(body.get("text")).get("format"))),
        effort=_EFFORTS.get(text(as_object(body.get("reasoning")), "effort")),
        native=_native(body),
    )
    return Asked(request, model, body.get("stream") is True, usage_wanted=True)


def _native(body: JsonObject) -> NativeFields | None:
    fields: dict[str, Json] = {
        name: value for name, value in body.items() if name not in _KNOWN and value is not None
    }
    reasoning = as_object(fields.pop("reasoning", None))
    if reasoning.keys() - {"effort"} or text(reasoning, "effort") in {"minimal", "xhigh"}:
        fields["reasoning"] = reasoning
    verbosity = as_object(body.get("text")).get("verbosity")
    if verbosity is not None:
        fields["text"] = as_object(body.get("text"))
    tools = [tool for tool in as_objects(body.get("tools")) if not _is_ours(tool)]
    if tools:
        fields["tools"] = tools
    return NativeFields("responses", fields) if fields else None


def _is_ours(tool: JsonObject) -> bool:
    # Others are run by the provider.
    return tool.get("type") == "function"


def _tool(tool: JsonObject) -> ToolSchema:
    parameters = as_object(tool.get("parameters")) or {"type": "object", "properties": {}}
    described = text(tool, "description")
    return ToolSchema(needed(tool, "name"), described, parameters, boolean(tool, "strict"))


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
            return ToolChoice("named", needed(as_object(choice), "name"), parallel)


def _output(wanted: JsonObject) -> OutputSchema | None:
    match wanted.get("type"):
        case "json_object":
            return OutputSchema(None)
        case "json_schema":
            schema = as_object(wanted.get("schema"))
            return OutputSchema(schema, text(wanted, "name") or "answer", boolean(wanted, "strict"))
        case _:
            return None


def _conversation(said: Json) -> tuple[list[str], tuple[ModelMessage, ...]]:
    if isinstance(said, str):
        return [], (ModelMessage.user(said),)
    items = as_objects(said)
    leading = 0
    while leading < len(items) and text(items[leading], "role") in _SYSTEM:
        leading += 1
    systems = ["".join(_plain(item.get("content"))) for item in items[:leading]]
    spoken: list[tuple[Role, Part]] = [pair for item in items[leading:] for pair in _spoken(item)]
    messages: list[ModelMessage] = []
    for role, part in spoken:
        if messages and messages[-1].role == role:
            messages[-1] = ModelMessage(role, (*messages[-1].parts, part))
        else:
            messages.append(ModelMessage(role, (part,)))
    return systems, tuple(messages)


def _plain(content: Json) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [text(piece, "text") for piece in as_objects(content)]


def _spoken(item: JsonObject) -> Iterator[tuple[Role, Part]]:
    match item.get("type", "message"):
        case "message" if text(item, "role") in {"user", "assistant"}:
            role: Role = "user" if text(item, "role") == "user" else "assistant"
            for part in _content(item.get("content")):
                yield role, part
        case "message":
            yield "user", Native("responses", item)
        case "function_call":
            name = needed(item, "name")
            arguments = given_arguments(text(item, "arguments"), name)
            yield "assistant", ToolUse(needed(item, "call_id"), name, arguments)
        case "function_call_output":
            yield "user", ToolOutput(needed(item, "call_id"), _shown(item.get("output")))
        case "reasoning":
            yield "assistant", _reasoning(item)
        case str(kind) if kind.endswith("_output"):
            yield "user", Native("responses", item)
        case _:
            yield "assistant", Native("responses", item)


def _reasoning(item: JsonObject) -> Part:
    own = text(item, "encrypted_content")
    if not own.startswith("toka."):
        return reasoning_of(item)
    thought = "\n\n".join([text(piece, "text") for piece in as_objects(item.get("summary"))])
    return sealed(thought, own.removeprefix("toka.anthropic."))


def _shown(output: Json) -> str | tuple[Text | Image | Document, ...]:
    if isinstance(output, str):
        return output
    parts = list(_content(output))
    shown = [part for part in parts if isinstance(part, Text | Image | Document)]
    if len(shown) < len(parts):
        raise NotTranslatable("A tool's output holds content of an unknown type.")
    return tuple(shown)


def _content(content: Json) -> Iterator[Part]:
    if isinstance(content, str):
        yield Text(content)
        return
    for piece in as_objects(content):
        yield _content_part(piece)


def _content_part(piece: JsonObject) -> Part:
    match piece.get("type"):
        case "input_text" | "output_text" | "refusal":
            cited = [citation_of(e, e, "responses") for e in as_objects(piece.get("annotations"))]
            return Text(text(piece, "text", "refusal"), tuple(cited))
        case "input_image":
            detail = text(piece, "detail")
            file_id = text(piece, "file_id")
            media = Media(file_id=file_id) if file_id else Media.at(needed(piece, "image_url"))
            return Image(media, detail="" if detail == "auto" else detail)
        case "input_file":
            return _document(piece)
        case _:
            return Native("responses", piece)


def _document(piece: JsonObject) -> Document:
    if text(piece, "file_id"):
        return Document(Media(file_id=text(piece, "file_id")))
    if text(piece, "file_url"):
        return Document(Media(url=text(piece, "file_url")))
    return Document(Media.at(needed(piece, "file_data")), text(piece, "filename"))
