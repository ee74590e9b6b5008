"""What is told of tasks and steps to whoever follows them, and what is not."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import attrs
import pytest

from toka.agent_runtime import FINISH, Code, ModelProgram, TaskContext
from toka.llm_gateway import Estimate, ToolUse
from toka.llm_gateway.testing import ScriptedModel, reply
from toka.tools import tool

from .helpers import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.anyio

_open: ContextVar[Followed | None] = ContextVar("_open", default=None)


@attrs.define
class Followed:
    name: str
    attributes: dict[str, object]
    parent: str
    error: str = ""


class Follower:
    """Notes every span; each is known by its place in the list."""

    current = ""

    def __init__(self) -> None:
        self.spans: list[Followed] = []

    @contextmanager
    def span(
        self, name: str, attributes: Mapping[str, object] | None = None, **_: object
    ) -> Iterator[None]:
        above = _open.get()
        span = Followed(name, dict(attributes or {}), above.name if above else "")
        self.spans.append(span)
        token = _open.set(span)
        try:
            yield
        except BaseException as error:
            span.error = type(error).__name__
            raise
        finally:
            _open.reset(token)

    def annotate(self, attributes: Mapping[str, object]) -> None:
        span = _open.get()
        assert span is not None
        span.attributes.update(attributes)

    def environment(self) -> dict[str, str]:
        return {"TRACEPARENT": "here"}


@tool(side_effect="none", taints=False)
async def add(first: int, second: int) -> str:
    """Add two numbers."""
    return f"confidential {first + second}"


async def test_a_conversation_is_a_task_with_calls_of_models_and_tools():
    model = ScriptedModel(
        [
            reply("confidential", ToolUse("1", "add", {"first": 1, "second": 2})),
            reply(ToolUse("2", "no such confidential tool", {})),
            reply(ToolUse("end", FINISH, {"result": "confidential", "objectives": []})),
        ],
        estimate=Estimate(10, 10, None),
    )
    follower = Follower()
    async with World(tools=(add,), model=lambda: model).open() as host:
        host.runtime.tracing = follower
        await host.task()
        assert (await host.run(ModelProgram("Add."))).completed

    names = [(span.name, span.parent) for span in follower.spans if span.name != "step"]
    assert names[:3] == [("task", ""), ("chat", "task"), ("execute_tool add", "task")]
    chat = follower.spans[1].attributes
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.request.model"] == model.name
    assert "gen_ai.usage.output_tokens" in chat
    assert "confidential" not in repr(follower.spans)


async def test_a_step_that_fails_says_so_and_one_on_record_is_not_told_again():
    async def fail() -> None:
        raise ValueError

    async def program(ctx: TaskContext) -> None:
        await ctx.step("well", _nothing)
        await ctx.step("badly", fail)

    follower = Follower()
    async with World().open() as host:
        host.runtime.tracing = follower
        await host.task()
        assert not (await host.run(Code(program))).completed

    steps = [span for span in follower.spans if span.name == "step"]
    assert [(span.attributes["toka.step.name"], span.error) for span in steps] == [
        ("well", ""),
        ("badly", "StepFailed"),
    ]
    assert [span.attributes["toka.step.ordinal"] for span in steps] == [0, 1]


async def _nothing() -> None:
    return None
