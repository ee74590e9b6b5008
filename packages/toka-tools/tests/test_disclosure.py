from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.tools import Disclosure, InvalidArgumentsError, ToolRegistry, UnknownToolError, tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.tools import Tool, ToolContext


def made(name: str, description: str) -> Tool:
    async def body() -> str:
        return name

    body.__name__ = name
    body.__doc__ = description
    return tool(side_effect="none")(body)


def disclosure(*always: str) -> Disclosure:
    tools = [
        made("git_log", "Show the history of a repository."),
        made("git_diff", "Show what changed in files."),
        made("send_email", "Send a message to somebody. Attachments are possible."),
        made("read_mail", "Read messages of a mailbox."),
    ]
    return Disclosure(ToolRegistry.of(tools), frozenset(always))


def names(tools: tuple[Tool, ...]) -> list[str]:
    return [one.name for one in tools]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("git history", "git_log"),
        ("email", "send_email"),
        ("mailbox", "read_mail"),
        ("CHANGED", "git_diff"),
    ],
)
def test_the_best_fit_comes_first(query: str, first: str) -> None:
    assert names(disclosure().search(query))[0] == first


def test_nothing_is_found_for_words_that_stand_nowhere() -> None:
    assert disclosure().search("weather") == ()
    assert disclosure().search("") == ()


@settings(deadline=None)  # The time of one example says more about the machine than about it.
@given(st.text(max_size=40))
def test_the_order_is_always_the_same(query: str) -> None:
    assert names(disclosure().search(query)) == names(disclosure().search(query))


def test_what_is_loaded_comes_after_what_was_shown() -> None:
    agent = disclosure("read_mail")
    before = names(agent.shown())
    assert before == ["search_tools", "load_tools", "read_mail"]
    agent.load(["send_email", "git_diff"])
    agent.load(["git_diff", "read_mail"])
    assert names(agent.shown()) == [*before, "send_email", "git_diff"]
    assert names(disclosure("read_mail").shown()) == before


def test_all_are_loaded_or_none() -> None:
    agent = disclosure()
    with pytest.raises(UnknownToolError):
        agent.load(["git_log", "nothing"])
    assert names(agent.shown()) == ["search_tools", "load_tools"]


def test_there_is_an_end_to_loading() -> None:
    registry = ToolRegistry.of([made(f"t{number}", "Do.") for number in range(200)])
    agent = Disclosure(registry)
    with pytest.raises(InvalidArgumentsError):
        agent.load(registry.names())


@pytest.mark.anyio
async def test_a_model_searches_and_loads(context_for: Callable[..., ToolContext]) -> None:
    agent = disclosure()
    own = ToolRegistry.of(agent.shown())
    found = await own.call("search_tools", '{"query": "send a message", "limit": 1}', context_for())
    assert found.value == {
        "tools": [
            {
                "name": "send_email",
                "summary": "Send a message to somebody.",
                "tokens": agent.tokens([agent.registry.get("send_email")]),
            }
        ],
        "of": 4,
    }
    loaded = await own.call("load_tools", {"names": ["send_email"]}, context_for())
    assert isinstance(loaded.value, dict)
    assert loaded.value["tokens"] == agent.tokens([agent.registry.get("send_email")])
    assert names(agent.shown())[-1] == "send_email"
    assert (found.error, loaded.error) == (None, None)


def test_many_tools_cost_few_tokens() -> None:
    registry = ToolRegistry.of(
        [made(f"tool_{number}", "Do something useful. " * 10) for number in range(100)]
    )
    agent = Disclosure(registry)
    assert agent.tokens(agent.shown()) * 10 < agent.tokens(registry)
