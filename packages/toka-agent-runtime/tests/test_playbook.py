from __future__ import annotations

import pytest

from toka.agent_runtime import Playbook, PlaybookInvalid, RetryPolicy
from toka.types import NANOSECONDS, Json


def test_the_example_of_the_documentation_parses():
    playbook = Playbook.parse(
        [
            {
                "tool": "list_files",
                "with": {"path": "${inputs.target}", "pattern": "**/*.py"},
                "as": "files",
            },
            {
                "tool": "run_command",
                "with": {"argv": ["wc", "-l", "${item.path}"]},
                "for_each": "${files.entries}",
                "when": "${item.size > 0}",
                "as": "counts",
                "retry": {"attempts": 3},
                "timeout": "30s",
                "concurrency": 4,
                "in_doubt": "retry",
            },
        ]
    )
    first, second = playbook.steps
    assert (first.tool, first.bind, first.for_each) == ("list_files", "files", None)
    assert second.retry == RetryPolicy(attempts=3)
    assert second.timeout == 30 * NANOSECONDS
    assert (second.concurrency, second.in_doubt) == (4, "retry")
    assert second.for_each is not None
    assert second.for_each.render({"files": {"entries": [1]}}) == [1]


def test_a_list_and_a_boolean_may_stand_for_expressions():
    (step,) = Playbook.parse([{"tool": "t", "for_each": ["a", "${run}"], "when": False}]).steps
    assert step.for_each is not None
    assert step.when is not None
    assert step.for_each.render({"run": "b"}) == ["a", "b"]
    assert step.when.render({}) is False


def test_the_full_retry_policy_is_read():
    source = {
        "attempts": 4,
        "initial": "100ms",
        "factor": 3,
        "longest": "5s",
        "retry_on": ["tools.*"],
    }
    (step,) = Playbook.parse([{"tool": "t", "retry": source}]).steps
    assert step.retry == RetryPolicy(
        attempts=4,
        initial=NANOSECONDS // 10,
        factor=3.0,
        longest=5 * NANOSECONDS,
        retry_on=("tools.*",),
    )


@pytest.mark.parametrize(
    ("steps", "path", "words"),
    [
        ([], (), "at least one"),
        ("x", (), "list"),
        ({}, (), "list"),
        (["x"], (0,), "mapping"),
        ([{}], (0,), "tool"),
        ([{"tool": " "}], (0, "tool"), "blank"),
        ([{"tool": "t", "for-each": []}], (0, "for-each"), "Did you mean 'for_each'"),
        ([{"tool": "t", "with": []}], (0, "with"), "mapping"),
        ([{"tool": "t", "with": {"a": ["${x}"]}}], (0, "with", "a", 0), "undeclared"),
        ([{"tool": "t", "with": {"a": "${item}"}}], (0, "with", "a"), "undeclared"),
        ([{"tool": "t", "as": "b", "with": {"a": "${b}"}}], (0, "with", "a"), "undeclared"),
        ([{"tool": "t", "when": "${b}"}, {"tool": "t", "as": "b"}], (0, "when"), "undeclared"),
        ([{"tool": "t"}, {"tool": "t", "for_each": "${run} b"}], (1, "for_each"), "single"),
        ([{"tool": "t", "for_each": 5}], (0, "for_each"), "expression"),
        ([{"tool": "t", "as": "inputs"}], (0, "as"), "named"),
        ([{"tool": "t", "as": "in"}], (0, "as"), "named"),
        ([{"tool": "t", "as": "a b"}], (0, "as"), "named"),
        ([{"tool": "t", "as": 5}], (0, "as"), "text"),
        ([{"tool": "t", "retry": 3}], (0, "retry"), "mapping"),
        ([{"tool": "t", "retry": {"attempt": 3}}], (0, "retry", "attempt"), "attempts"),
        ([{"tool": "t", "retry": {"attempts": 0}}], (0, "retry", "attempts"), "whole number"),
        ([{"tool": "t", "retry": {"attempts": True}}], (0, "retry", "attempts"), "whole number"),
        ([{"tool": "t", "retry": {"factor": 99}}], (0, "retry"), "factor"),
        ([{"tool": "t", "timeout": "soon"}], (0, "timeout"), "duration"),
        ([{"tool": "t", "timeout": True}], (0, "timeout"), "duration"),
        ([{"tool": "t", "concurrency": 2}], (0,), "for_each"),
        ([{"tool": "t", "for_each": [], "concurrency": 0}], (0, "concurrency"), "whole number"),
        ([{"tool": "t", "in_doubt": "guess"}], (0, "in_doubt"), "retry, skip or ask"),
    ],
)
def test_a_wrong_playbook_says_where(steps: Json, path: tuple[str | int, ...], words: str):
    with pytest.raises(PlaybookInvalid, match=words) as caught:
        Playbook.parse(steps)
    assert caught.value.path == path


def test_too_many_steps_are_refused():
    with pytest.raises(PlaybookInvalid, match="at most"):
        Playbook.parse([{"tool": "t"}] * 1_001)
