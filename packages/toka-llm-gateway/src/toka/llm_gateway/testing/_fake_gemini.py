"""Google's Gemini interface, as its documentation describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._messages import Native, Reasoning, Text, ToolUse
from toka.llm_gateway._response import StopReason
from toka.llm_gateway.formats._json import as_objects
from toka.llm_gateway.testing._bodies import words
from toka.llm_gateway.testing._faults import Refuse
from toka.llm_gateway.testing._server import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._response import ModelResponse, Usage
    from toka.llm_gateway.testing._server import RecordedRequest
    from toka.types import Json, JsonObject

_FIELDS: Final = frozenset(
    {
        "cachedContent",
        "contents",
        "generationConfig",
        "labels",
        "safetySettings",
        "systemInstruction",
        "toolConfig",
        "tools",
    }
)
_PARTS: Final = frozenset(
    {
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "text",
    }
)
_FINISH: Final[Mapping[StopReason, str]] = {
    StopReason.END_TURN: "STOP",
    StopReason.STOP_SEQUENCE: "STOP",
    StopReason.TOOL_USE: "STOP",
    StopReason.MAX_TOKENS: "MAX_TOKENS",
    StopReason.REFUSAL: "SAFETY",
}
_STATUSES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class FakeGemini(FakeProvider):
    """Answers `/models/NAME:generateContent`. Its `url` is the base address of a `GeminiModel`."""

    def _path(self) -> str:
        return "/models/{call}"

    def _streamed(self, path: str, body: JsonObject) -> bool:
        del body
        return path.endswith(":streamGenerateContent")

    def _request_id_header(self) -> str:
        return "x-request-id"

    def _check(self, request: RecordedRequest) -> Refuse | None:
        if request.headers.get("x-goog-api-key") != self.key:
            return Refuse(
                400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."
            )
        complaint = next(_complaints(request.body), None)
        return None if complaint is None else Refuse(400, "INVALID_ARGUMENT", complaint)

    def _error(self, refuse: Refuse) -> JsonObject:
        status = refuse.reason if refuse.reason.isupper() else _STATUSES.get(refuse.status, "")
        return {"error": {"code": refuse.status, "message": refuse.message, "status": status}}

    def _whole(self, response: ModelResponse) -> JsonObject:
        return _piece(response, list(_parts(response, whole=True)), last=True)

    def _events(self, response: ModelResponse, request: JsonObject) -> Iterator[bytes]:
        del request
        yield _event(_piece(response, []))
        for part in _parts(response, whole=False):
            yield _event(_piece(response, [part]))
        yield _event(_piece(response, [], last=True))


def _event(piece: JsonObject) -> bytes:
    return b"data: %s\r\n\r\n" % msgspec.json.encode(piece)


def _piece(response: ModelResponse, parts: list[Json], *, last: bool = False) -> JsonObject:
    candidate: dict[str, Json] = {"content": {"role": "model", "parts": parts}, "index": 0}
    said: dict[str, Json] = {"modelVersion": response.model, "responseId": "resp0001"}
    if last:
        candidate["finishReason"] = _FINISH[response.stop_reason]
        said["usageMetadata"] = _usage(response.usage)
    return {"candidates": [candidate], **said}


def _usage(usage: Usage) -> JsonObject:
    read = usage.input_tokens + usage.cache_read_tokens
    return {
        "promptTokenCount": read,
        "cachedContentTokenCount": usage.cache_read_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": read + usage.output_tokens,
    }


def _parts(response: ModelResponse, *, whole: bool) -> Iterator[Json]:
    sealed: dict[str, Json] = {}
    for part in response.message.parts:
        match part:
            case Reasoning(_, signature, True):
                sealed = {"thoughtSignature": signature}
                continue
            case Reasoning(text, signature):
                yield {"text": text, "thought": True, "thoughtSignature": signature}
            case Text(text):
                pieces = [text] if whole or sealed else words(text)
                for piece in pieces:
                    yield {"text": piece, **sealed}
            case ToolUse(identifier, name, arguments):
                yield {
                    "functionCall": {"id": identifier, "name": name, "args": arguments},
                    **sealed,
                }
            case Native("gemini", data):
                yield {**data, **sealed}
            case _:
                raise AssertionError(f"This model does not write {type(part).__name__} parts.")
        sealed = {}


def _complaints(body: JsonObject) -> Iterator[str]:
    for name in body.keys() - _FIELDS:
        yield f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
    contents = as_objects(body.get("contents"))
    if not contents:
        yield "GenerateContentRequest.contents: contents is not specified"
    calls = 0
    for content in contents:
        if content.get("role") not in {"user", "model"}:
            yield "Please use a valid role: user, model."
        parts = as_objects(content.get("parts"))
        if not parts:
            yield "GenerateContentRequest.contents.parts: must not be empty"
        for part in parts:
            if len(part.keys() & _PARTS) != 1:
                yield "contents.parts.data: required oneof field 'data' must have one field"
        answers = len([part for part in parts if "functionResponse" in part])
        if content.get("role") == "user" and answers != calls:
            yield (
                "Please ensure that the number of function response parts is equal to the number of"
                " function call parts of the function call turn."
            )
        calls = len([part for part in parts if "functionCall" in part])
