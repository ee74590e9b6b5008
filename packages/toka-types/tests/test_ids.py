import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.types import (
    MAX_AGENT_DEPTH,
    EntityId,
    InvalidValueError,
    agent_name,
    agent_of,
    check_entity_id,
    child_agent,
    parent_of,
    root_agent,
    root_of,
    task_id,
    ulid,
)

_ROOT = root_agent(EntityId("01JD3X8ZK5Q6T7V8W9XAYBZCDE"))
_milliseconds = st.integers(min_value=0, max_value=2**48 - 1)
_entropy = st.binary(min_size=10, max_size=10)


@given(_milliseconds, _entropy, _milliseconds, _entropy)
def test_text_order_is_time_order(first, some, second, other) -> None:
    assert (ulid(first, some) < ulid(second, other)) == ((first, some) < (second, other))


@given(_milliseconds, _entropy)
def test_a_ulid_is_an_entity_id(milliseconds, entropy) -> None:
    text = ulid(milliseconds, entropy)
    assert check_entity_id(text) == text


def test_the_ulid_specification_agrees_on_the_largest() -> None:
    assert ulid(2**48 - 1, b"\xff" * 10) == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"


@pytest.mark.parametrize("time", [-1, 2**48])
def test_a_time_outside_48_bits_is_refused(time) -> None:
    with pytest.raises(InvalidValueError, match="48 bits"):
        ulid(time, bytes(10))


def test_entropy_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="10 bytes"):
        ulid(0, bytes(9))


@pytest.mark.parametrize(
    "text",
    ["", "x", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01jd3x8zk5q6t7v8w9xaybzcde", "0" * 27, "I" * 26],
)
def test_other_text_is_no_identifier(text) -> None:
    with pytest.raises(InvalidValueError, match="not an identifier"):
        check_entity_id(text)


def test_a_path_knows_its_family() -> None:
    child = child_agent(child_agent(_ROOT, "plan"), "sub.agent-1")
    assert child == f"{_ROOT}/plan/sub.agent-1"
    assert parent_of(child) == f"{_ROOT}/plan"
    assert parent_of(_ROOT) is None
    assert root_of(child) == _ROOT
    assert agent_name(child) == "sub.agent-1"
    assert agent_of(task_id(child, 3)) == child


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "a b", "é", "a#1", "a" * 257, "-x", "a\n"]
)
def test_a_name_that_would_break_a_path_is_refused(name) -> None:
    with pytest.raises(InvalidValueError, match="cannot name an agent"):
        child_agent(_ROOT, name)


def test_a_family_has_a_last_generation() -> None:
    agent = _ROOT
    for _ in range(MAX_AGENT_DEPTH - 1):
        agent = child_agent(agent, "x")
    with pytest.raises(InvalidValueError, match="generation"):
        child_agent(agent, "x")
