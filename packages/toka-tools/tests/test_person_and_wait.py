"""Asking a person, and letting time pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import pytest

from toka.tools import (
    AccessDeniedError,
    AsksPerson,
    CallbackPerson,
    InvalidArgumentsError,
    NoPersonError,
    Question,
    ToolTimeoutError,
    effect_of,
)
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.tools import ToolContext, ToolRegistry
    from toka.types import Json

pytestmark = pytest.mark.anyio


class Asked:
    """Answers everything alike, and remembers what was asked."""

    def __init__(self, answer: Json = "yes") -> None:
        self.answer, self.questions = answer, list[Question]()

    async def ask(self, question: Question) -> Json:
        self.questions.append(question)
        return self.answer


@pytest.fixture
def ask(registry: ToolRegistry, context_for: Callable[..., ToolContext]):
    async def call(person: object, *permissions: str, **arguments: Json) -> Mapping[str, Json]:
        granted = permissions or ("person:ask:operator",)
        context = context_for(*granted, person=person, idempotency_key="key-1")
        given = {"question": "Go on?", **arguments}
        return cast("Mapping[str, Json]", (await registry.call("ask_person", given, context)).value)

    return call


async def test_a_person_is_asked_and_answers(ask) -> None:
    person = Asked("in my own words")
    assert (await ask(person))["answer"] == "in my own words"
    assert person.questions == [Question("Go on?", (), "operator", "key-1")]


async def test_a_callback_is_a_person(ask) -> None:
    async def answer(question: Question) -> str:
        return question.choices[-1]

    assert (await ask(CallbackPerson(answer), choices=["yes", "no"]))["answer"] == "no"


async def test_an_answer_that_is_no_choice_is_none(ask) -> None:
    with pytest.raises(NoPersonError, match="none of the choices"):
        await ask(Asked("maybe"), choices=["yes", "no"])


SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}


async def test_an_answer_may_be_more_than_text(ask) -> None:
    person = Asked({"days": 3})
    assert (await ask(person, schema=SCHEMA))["answer"] == {"days": 3}
    assert person.questions[0].form == SCHEMA
    with pytest.raises(NoPersonError, match="days"):
        await ask(Asked({"days": "three"}), schema=SCHEMA)


def test_what_is_asked_is_known_without_asking(registry) -> None:
    tool = registry.get("ask_person")
    assert isinstance(tool, AsksPerson)
    asked = tool.question({"question": "Go on?", "timeout": 1.5})
    assert (asked.text, asked.timeout_ns) == ("Go on?", 1_500_000_000)
    assert asked.form == {"type": "string", "minLength": 1, "maxLength": 20_000}
    asked = tool.question({"question": "Go on?", "choices": ["yes"], "timeout": 1e300})
    assert asked.form == {"type": "string", "enum": ["yes"]}
    assert asked.timeout_ns == 366 * 86_400 * NANOSECONDS
    assert tool.answered("yes", "ada") == {"answer": "yes", "truncated": False, "by": "ada"}


async def test_nobody_to_ask_is_told(ask) -> None:
    with pytest.raises(NoPersonError, match="nobody"):
        await ask(None)


async def test_whom_to_ask_is_granted(ask, registry, workspace) -> None:
    person = Asked()
    for granted in ("person:ask:legal", "person:tell:operator", "fs:read:/**"):
        with pytest.raises(AccessDeniedError):
            await ask(person, granted)
    await ask(person, "person:ask:*", who="legal")
    assert [question.who for question in person.questions] == ["legal"]
    tool = registry.get("ask_person")
    assert tool.requests({"question": "x", "who": "legal"}, workspace) == ("person:ask:legal",)
    assert (tool.side_effect, tool.honours_idempotency_key, tool.taints) == (
        "external",
        True,
        False,
    )


async def test_a_person_who_does_not_answer_is_not_waited_for_for_ever(ask) -> None:
    taken_back = False

    async def never(_: Question) -> str:
        nonlocal taken_back
        try:
            await anyio.sleep_forever()
        finally:
            taken_back = True
        return ""

    with pytest.raises(ToolTimeoutError):
        await ask(CallbackPerson(never), timeout=0.05)
    assert taken_back


async def test_a_long_answer_is_cut(ask) -> None:
    value = await ask(Asked("x" * 30_000 + "\ud800"))
    assert (len(value["answer"]), value["truncated"]) == (20_000, True)


@pytest.mark.parametrize(
    "bad",
    [
        {"question": ""},
        {"question": "x" * 5_000},
        {"choices": [""]},
        {"choices": ["x"] * 21},
        {"who": "Not A Name"},
        {"who": "*"},
        {"timeout": 0},
        {"schema": "string"},
        {"schema": {"type": "text"}},
        {"schema": SCHEMA, "choices": ["yes"]},
    ],
)
async def test_bad_questions_are_refused(ask, bad: dict[str, Json]) -> None:
    with pytest.raises(InvalidArgumentsError):
        await ask(Asked(), **bad)


class VirtualClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 1_767_323_045 * NANOSECONDS  # 2026-01-02T03:04:05Z

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time

    async def sleep(self, nanoseconds: int) -> None:
        self.time += nanoseconds


@pytest.fixture
def wait(registry: ToolRegistry, context_for: Callable[..., ToolContext]):
    async def call(**arguments: Json) -> Mapping[str, Json]:
        context = context_for(clock=VirtualClock(), timeout_ns=3_600 * NANOSECONDS)
        return cast("Mapping[str, Json]", (await registry.call("wait", arguments, context)).value)

    return call


@pytest.mark.parametrize(
    ("arguments", "waited", "now"),
    [
        ({"seconds": 90}, 90, "2026-01-02T03:05:35+00:00"),
        ({"seconds": 0}, 0, "2026-01-02T03:04:05+00:00"),
        ({"until": "2026-01-02T03:05:05Z"}, 60, "2026-01-02T03:05:05+00:00"),
        ({"until": "2026-01-02T04:04:06+01:00"}, 1, "2026-01-02T03:04:06+00:00"),
        ({"until": "1969-12-31T00:00:00Z"}, 0, "2026-01-02T03:04:05+00:00"),
    ],
)
async def test_time_passes(wait, arguments: dict[str, Json], waited: float, now: str) -> None:
    assert await wait(**arguments) == {"waited": waited, "now": now}


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"seconds": 1, "until": "2026-01-02T03:04:05Z"},
        {"seconds": -1},
        {"seconds": 4_000},
        {"seconds": 1e300},
        {"until": "2026-01-02T03:04:05"},
        {"until": "tomorrow"},
        {"until": "9999-12-31T23:59:59Z"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"until": ""},
    ],
)
async def test_a_wait_that_cannot_be_is_refused_at_once(wait, bad: dict[str, Json]) -> None:
    if bad.get("until", "").startswith("0001"):  # type: ignore[union-attr] # text
        assert (await wait(**bad))["waited"] == 0
        return
    with pytest.raises(InvalidArgumentsError):
        await wait(**bad)


def test_waiting_needs_nothing(registry, workspace) -> None:
    tool = registry.get("wait")
    assert tool.requests({"seconds": 1}, workspace) == ()
    assert (effect_of(tool, {}), tool.taints) == ("none", False)


async def test_a_wait_ends_when_it_is_cancelled(registry, context_for) -> None:
    with anyio.move_on_after(0.05) as scope:
        await registry.call("wait", {"seconds": 10}, context_for())
    assert scope.cancelled_caught
