"""The server that the protocol's conformance suite talks to: what each of its scenarios wants.

    python -m workshop.mcp_everything        prints its URL, and serves until its input ends

Everything here is the suite's: its names, its texts and its schemas.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import PermissionSet
from toka.tools import ToolContext, ToolError, ToolRegistry, ToolResult, Workspace
from toka.tools.mcp import ProtocolError
from toka.tools.mcp.server import (
    ContentResult,
    McpServer,
    Question,
    ServerOptions,
    serve_http,
)
from workshop.mcp_everything_offers import (
    IMAGE,
    WAV,
    EverythingCompletions,
    EverythingPrompts,
    EverythingResources,
    embedded,
    talk,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toka.types import Json, JsonObject, SideEffect

NAME_FORM: Final[JsonObject] = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
}
OK_FORM: Final[JsonObject] = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
}


@attrs.frozen(eq=False)
class Scripted:
    """A tool with the body that a scenario wants."""

    name: str
    _body: Callable[[JsonObject], Awaitable[ToolResult]] = attrs.field(alias="body")
    parameters: JsonObject
    version: str = "1"
    side_effect: SideEffect = "none"
    honours_idempotency_key: bool = False
    taints: bool = False

    @property
    def description(self) -> str:
        return f"What the scenarios want of {self.name}."

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:  # noqa: ARG002
        return await self._body(arguments)


TOOLS: Final[list[Scripted]] = []


def scripted(
    schema: JsonObject | None = None, **properties: str
) -> Callable[[Callable[[JsonObject], Awaitable[ToolResult]]], None]:
    """Make a tool of a body; its arguments are named with their types, and all are required."""
    made: JsonObject = schema or {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": [name for name in properties if name != "label"],
    }

    def make(body: Callable[[JsonObject], Awaitable[ToolResult]]) -> None:
        TOOLS.append(Scripted(body.__name__.removeprefix("run_"), body, made))

    return make


def text(words: str) -> ToolResult:
    return ToolResult(words)


def blocks(*content: JsonObject) -> ToolResult:
    return ContentResult(None, content=content)


@scripted()
async def run_test_simple_text(_arguments: JsonObject) -> ToolResult:
    return text("This is a simple text response for testing.")


@scripted()
async def run_test_image_content(_arguments: JsonObject) -> ToolResult:
    return blocks(IMAGE)


@scripted()
async def run_test_audio_content(_arguments: JsonObject) -> ToolResult:
    return blocks({"type": "audio", "data": WAV, "mimeType": "audio/wav"})


@scripted()
async def run_test_embedded_resource(_arguments: JsonObject) -> ToolResult:
    words = "This is an embedded resource content."
    return blocks(embedded("test://embedded-resource", "text/plain", words))


@scripted()
async def run_test_multiple_content_types(_arguments: JsonObject) -> ToolResult:
    return blocks(
        {"type": "text", "text": "Multiple content types test:"},
        IMAGE,
        embedded(
            "test://mixed-content-resource", "application/json", '{"test":"data","value":123}'
        ),
    )


async def log_three() -> ToolResult:
    for words in ("started", "processing data", "completed"):
        await talk().log("info", f"Tool execution {words}")
        await asyncio.sleep(0.05)
    return text("The tool has logged.")


@scripted()
async def run_test_tool_with_logging(_arguments: JsonObject) -> ToolResult:
    return await log_three()


@scripted()
async def run_test_logging_tool(_arguments: JsonObject) -> ToolResult:
    return await log_three()


@scripted()
async def run_test_error_handling(_arguments: JsonObject) -> ToolResult:
    raise ToolError("This tool intentionally returns an error for testing.")


@scripted()
async def run_test_tool_with_progress(_arguments: JsonObject) -> ToolResult:
    for done in (0, 50, 100):
        await talk().progress(done, 100)
        await asyncio.sleep(0.05)
    return text("The tool has reported progress.")


@scripted(prompt="string")
async def run_test_sampling(arguments: JsonObject) -> ToolResult:
    question = Question.sampling(str(arguments["prompt"]), max_tokens=100)
    answer = (await talk().ask({"answer": question}))["answer"]
    return text(f"LLM response: {json.dumps(answer)}")


async def ask_form(message: str, properties: JsonObject, *required: str) -> ToolResult:
    schema: JsonObject = {
        "type": "object",
        "properties": properties,
        "required": list(required),
    }
    answer = (await talk().ask({"form": Question.form(message, schema)}))["form"]
    content = json.dumps(answer.get("content"))
    return text(f"Elicitation completed: action={answer['action']}, content={content}")


@scripted(message="string")
async def run_test_elicitation(arguments: JsonObject) -> ToolResult:
    return await ask_form(
        str(arguments["message"]),
        {
            "username": {"type": "string", "description": "User's response"},
            "email": {"type": "string", "description": "User's email address"},
        },
        "username",
        "email",
    )


@scripted()
async def run_test_elicitation_sep1034_defaults(_arguments: JsonObject) -> ToolResult:
    states: Json = ["active", "inactive", "pending"]
    return await ask_form(
        "Please look through the defaults.",
        {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": states, "default": "active"},
            "verified": {"type": "boolean", "default": True},
        },
    )


@scripted()
async def run_test_elicitation_sep1330_enums(_arguments: JsonObject) -> ToolResult:
    plain: Json = ["option1", "option2", "option3"]
    titled: Json = [
        {"const": f"value{number}", "title": f"{word} Option"}
        for number, word in enumerate(("First", "Second", "Third"), 1)
    ]
    return await ask_form(
        "Please choose.",
        {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
    )


@scripted()
async def run_test_missing_capability(_arguments: JsonObject) -> ToolResult:
    await talk().ask({"model": Question.sampling("Are you there?")})
    return text("The client can sample.")


@scripted()
async def run_test_streaming_elicitation(_arguments: JsonObject) -> ToolResult:
    await talk().ask({"name": Question.form("Who is there?", NAME_FORM)})
    return text("Somebody is there.")


@scripted()
async def run_test_input_required_result_elicitation(_arguments: JsonObject) -> ToolResult:
    form = Question.form("What is your name?", NAME_FORM)
    answer = (await talk().ask({"user_name": form}))["user_name"]
    return text(f"Hello, {answer.get('content')}!")


@scripted()
async def run_test_input_required_result_sampling(_arguments: JsonObject) -> ToolResult:
    question = Question.sampling("What is the capital of France?", max_tokens=100)
    answer = (await talk().ask({"capital_question": question}))["capital_question"]
    return text(json.dumps(answer))


@scripted()
async def run_test_input_required_result_list_roots(_arguments: JsonObject) -> ToolResult:
    answer = (await talk().ask({"client_roots": Question.roots()}))["client_roots"]
    return text(json.dumps(answer))


@scripted()
async def run_test_input_required_result_request_state(_arguments: JsonObject) -> ToolResult:
    await talk().ask({"confirm": Question.form("Please confirm", OK_FORM)})
    return text("state-ok")


@scripted()
async def run_test_input_required_result_tampered_state(_arguments: JsonObject) -> ToolResult:
    await talk().ask({"confirm": Question.form("Please confirm", OK_FORM)})
    return text("state-ok")


@scripted()
async def run_test_input_required_result_multiple_inputs(_arguments: JsonObject) -> ToolResult:
    answers = await talk().ask(
        {
            "user_name": Question.form("What is your name?", NAME_FORM),
            "greeting": Question.sampling("Generate a greeting", max_tokens=50),
            "client_roots": Question.roots(),
        }
    )
    return text(json.dumps(answers))


@scripted()
async def run_test_input_required_result_multi_round(_arguments: JsonObject) -> ToolResult:
    colour: JsonObject = {
        "type": "object",
        "properties": {"color": {"type": "string"}},
        "required": ["color"],
    }
    first = await talk().ask({"step1": Question.form("Step 1: What is your name?", NAME_FORM)})
    second = await talk().ask(
        {"step2": Question.form("Step 2: What is your favorite color?", colour)}
    )
    return text(json.dumps({**first, **second}))


@scripted()
async def run_test_input_required_result_capabilities(_arguments: JsonObject) -> ToolResult:
    questions = {
        "name": Question.form("What is your name?", NAME_FORM),
        "greeting": Question.sampling("Generate a greeting"),
        "roots": Question.roots(),
    }
    asked = {key: each for key, each in questions.items() if talk().can(each.capability)}
    return text(json.dumps(await talk().ask(asked)))


@scripted(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    }
)
async def run_json_schema_2020_12_tool(arguments: JsonObject) -> ToolResult:
    return text(json.dumps(arguments))


@scripted(
    {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        "required": ["region"],
    }
)
async def run_test_header_parameter(arguments: JsonObject) -> ToolResult:
    return text(str(arguments["region"]))


@scripted(name="string")
async def run_greet(arguments: JsonObject) -> ToolResult:
    return text(f"Hello, {arguments['name']}!")


@scripted(seconds="number", label="string")
async def run_slow_compute(arguments: JsonObject) -> ToolResult:
    seconds = float(str(arguments["seconds"]))
    if seconds:
        await talk().detach()
        await asyncio.sleep(seconds)
    return text(f"Computed for {seconds} seconds.")


@scripted()
async def run_failing_job(_arguments: JsonObject) -> ToolResult:
    await talk().detach(required=True)
    await asyncio.sleep(0.2)
    raise ToolError("The job fails, as it should.")


@scripted()
async def run_protocol_error_job(_arguments: JsonObject) -> ToolResult:
    await talk().detach(required=True)
    raise ProtocolError("The job breaks the protocol, as it should.", -32603)


def confirmation(message: str) -> Question:
    confirm: JsonObject = {"type": "object", "properties": {"confirm": {"type": "boolean"}}}
    return Question.form(message, confirm)


@scripted(filename="string")
async def run_confirm_delete(arguments: JsonObject) -> ToolResult:
    await talk().detach(required=True)
    answers = await talk().ask({"confirm": confirmation(f"Delete {arguments['filename']}?")})
    return text(f"{answers['confirm']['action']}: {arguments['filename']}")


@scripted()
async def run_multi_input(_arguments: JsonObject) -> ToolResult:
    await talk().detach(required=True)
    await talk().ask({"one": confirmation("The first?"), "two": confirmation("The second?")})
    return text("Both were answered.")


@scripted()
async def run_test_tool_with_task(_arguments: JsonObject) -> ToolResult:
    form = Question.form("What is your name?", NAME_FORM)
    answer = (await talk().ask({"user_name": form}))["user_name"]
    await talk().detach(required=True)
    return text(f"Hello, {json.dumps(answer.get('content'))}!")


async def main() -> None:
    """Serve on a free port until standard input ends."""
    registry = ToolRegistry.of(TOOLS)
    context = ToolContext(Workspace(Path.cwd()), PermissionSet.parse([]))
    options = ServerOptions(
        name="toka-everything",
        version="1",
        resources=EverythingResources(),
        prompts=EverythingPrompts(),
        completions=EverythingCompletions(),
    )
    server = McpServer(registry, context, options)

    async def change_tools(_arguments: JsonObject) -> ToolResult:
        server.tools_changed()
        return text("The tools have changed.")

    async def change_prompts(_arguments: JsonObject) -> ToolResult:
        server.prompts_changed()
        return text("The prompts have changed.")

    nothing: JsonObject = {"type": "object", "properties": {}}
    registry.register(Scripted("test_trigger_tool_change", change_tools, nothing))
    registry.register(Scripted("test_trigger_prompt_change", change_prompts, nothing))
    async with server, serve_http(server) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
