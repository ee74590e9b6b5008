"""OpenAI's Responses interface, as its documentation describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from toka.llm_gateway._errors import InvalidRequest
from toka.llm_gateway.formats._face import Stamp
from toka.llm_gateway.formats._json import as_object, as_objects, text
from toka.llm_gateway.formats.responses._face import ResponsesFace
from toka.llm_gateway.testing._faults import Refuse
from toka.llm_gateway.testing._scripted import events_of
from toka.llm_gateway.testing._server import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.llm_gateway._response import ModelResponse
    from toka.llm_gateway.testing._server import RecordedRequest
    from toka.types import JsonObject

_FACE: Final = ResponsesFace()
_STAMP: Final = Stamp("0001", 0)
_FIELDS: Final = frozenset(
    {
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "truncation",
    }
)


class FakeResponses(FakeProvider):
    """Answers `/v1/responses`. Its `url` is the base address of an `OpenAIResponsesModel`."""

    @property
    def url(self) -> str:
        """The address to give to a model as its base."""
        return f"{super().url}/v1"

    def _path(self) -> str:
        return "/v1/responses"

    def _request_id_header(self) -> str:
        return "x-request-id"

    def _check(self, request: RecordedRequest) -> Refuse | None:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return Refuse(401, "invalid_api_key", "Incorrect API key provided.")
        complaint = next(_complaints(request.body), None)
        return None if complaint is None else Refuse(400, "", complaint)

    def _error(self, refuse: Refuse) -> JsonObject:
        kind = "invalid_request_error" if refuse.status in range(400, 500) else "server_error"
        code = refuse.reason or None
        return {"error": {"message": refuse.message, "type": kind, "param": None, "code": code}}

    def _whole(self, response: ModelResponse) -> JsonObject:
        asked = _FACE.parse(b'{"model": "m", "input": "x"}')
        return as_object(msgspec.json.decode(_FACE.whole(response, asked, _STAMP)))

    def _events(self, response: ModelResponse, request: JsonObject) -> Iterator[bytes]:
        renderer = _FACE.renderer(_FACE.parse(msgspec.json.encode(request)), _STAMP)
        for event in events_of(response):
            # One event of ours may be several there.
            for said in renderer.feed(event).split(b"\n\n")[:-1]:
                yield said + b"\n\n"


def _complaints(body: JsonObject) -> Iterator[str]:
    for name in body.keys() - _FIELDS:
        yield f"Unknown parameter: '{name}'."
    for name in ("model", "input"):
        if not body.get(name):
            yield f"Missing required parameter: '{name}'."
    items = as_objects(body.get("input"))
    asked = _call_ids(items, "function_call")
    answered = _call_ids(items, "function_call_output")
    for identifier in asked - answered:
        yield f"No tool output found for function call {identifier}."
    for identifier in answered - asked:
        yield f"No tool call found for function call output with call_id {identifier}."
    try:
        _FACE.parse(msgspec.json.encode(body))
    except InvalidRequest as error:
        yield error.message


def _call_ids(items: list[JsonObject], kind: str) -> set[str]:
    return {text(item, "call_id") for item in items if item.get("type") == kind}
