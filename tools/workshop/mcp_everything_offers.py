"""What the conformance suite wants of a server beside tools, and what both are made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from toka.tools import ToolError
from toka.tools.mcp.server import Conversation, Question, conversation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.tools import ToolContext
    from toka.types import Json, JsonObject

PNG: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJ"
    "RU5ErkJggg=="
)
WAV: Final = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

IMAGE: Final[JsonObject] = {"type": "image", "data": PNG, "mimeType": "image/png"}


def embedded(uri: str, kind: str, words: str) -> JsonObject:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": words}}


def talk() -> Conversation:
    found = conversation()
    if found is None:
        raise ToolError("Nobody is there to talk to.")
    return found


class EverythingResources:
    """Two resources and a template."""

    async def resources(self, context: ToolContext) -> Sequence[JsonObject]:  # noqa: ARG002
        return [
            {
                "uri": f"test://static-{kind}",
                "name": f"Static {kind}",
                "description": f"A static {kind} resource.",
                "mimeType": mime,
            }
            for kind, mime in (("text", "text/plain"), ("binary", "image/png"))
        ]

    async def templates(self, context: ToolContext) -> Sequence[JsonObject]:  # noqa: ARG002
        return [
            {
                "uriTemplate": "test://template/{id}/data",
                "name": "Template",
                "description": "A resource for each id.",
                "mimeType": "application/json",
            }
        ]

    async def read(self, uri: str, context: ToolContext) -> Sequence[JsonObject] | None:  # noqa: ARG002
        if uri == "test://static-text":
            words = "This is the content of the static text resource."
            return [{"uri": uri, "mimeType": "text/plain", "text": words}]
        if uri == "test://static-binary":
            return [{"uri": uri, "mimeType": "image/png", "blob": PNG}]
        if uri == "test://watched-resource":
            return [{"uri": uri, "mimeType": "text/plain", "text": "Watched."}]
        head, tail = "test://template/", "/data"
        if uri.startswith(head) and uri.endswith(tail):
            name = uri.removeprefix(head).removesuffix(tail)
            data = {"id": name, "templateTest": True, "data": f"Data for ID: {name}"}
            return [{"uri": uri, "mimeType": "application/json", "text": json.dumps(data)}]
        return None


def said(content: JsonObject) -> JsonObject:
    return {"role": "user", "content": content}


def prompt(*messages: JsonObject) -> JsonObject:
    return {"messages": list(messages)}


class EverythingPrompts:
    """The prompts of the suite, one of which asks first."""

    async def prompts(self, context: ToolContext) -> Sequence[JsonObject]:  # noqa: ARG002
        arguments: dict[str, tuple[str, ...]] = {
            "test_simple_prompt": (),
            "test_prompt_with_arguments": ("arg1", "arg2"),
            "test_prompt_with_embedded_resource": ("resourceUri",),
            "test_prompt_with_image": (),
            "test_input_required_result_prompt": (),
        }
        return [
            {
                "name": name,
                "description": f"What the scenarios want of {name}.",
                "arguments": [
                    {"name": each, "description": each, "required": True} for each in wanted
                ],
            }
            for name, wanted in arguments.items()
        ]

    async def get(
        self,
        name: str,
        arguments: JsonObject,
        context: ToolContext,  # noqa: ARG002
    ) -> JsonObject | None:
        if name == "test_simple_prompt":
            words = "This is a simple prompt for testing."
            return prompt(said({"type": "text", "text": words}))
        if name == "test_prompt_with_arguments":
            one, two = arguments.get("arg1"), arguments.get("arg2")
            words = f"Prompt with arguments: arg1='{one}', arg2='{two}'"
            return prompt(said({"type": "text", "text": words}))
        if name == "test_prompt_with_embedded_resource":
            content = "Embedded resource content for testing."
            return prompt(
                said(embedded(str(arguments.get("resourceUri")), "text/plain", content)),
                said({"type": "text", "text": "Please process the embedded resource above."}),
            )
        if name == "test_prompt_with_image":
            words = "Please analyze the image above."
            return prompt(said(IMAGE), said({"type": "text", "text": words}))
        return await self._asking(name)

    async def _asking(self, name: str) -> JsonObject | None:
        if name != "test_input_required_result_prompt":
            return None
        wanted: JsonObject = {
            "type": "object",
            "properties": {"context": {"type": "string"}},
            "required": ["context"],
        }
        form = Question.form("What context should the prompt use?", wanted)
        answer = (await talk().ask({"user_context": form}))["user_context"]
        return prompt(said({"type": "text", "text": json.dumps(answer.get("content"))}))


class EverythingCompletions:
    """Words that begin alike."""

    async def complete(
        self,
        reference: JsonObject,  # noqa: ARG002
        argument: JsonObject,
        context: ToolContext,  # noqa: ARG002
    ) -> Sequence[Json]:
        typed = str(argument.get("value", ""))
        return [word for word in ("paris", "park", "party", "test") if word.startswith(typed)]
