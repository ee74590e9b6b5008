from typing import get_args

import msgspec
import pytest

from toka.types import (
    MAX_OBSERVATION_BYTES,
    MAX_PERMISSIONS,
    MAX_SPEC_BYTES,
    MAX_STEP_RESULT_BYTES,
    MAX_TASK_DESCRIPTION_BYTES,
    MAX_TOKEN_BYTES,
    AgentId,
    Amounts,
    Budget,
    Codec,
    CompleteTask,
    EmitObservation,
    Extension,
    FinishStep,
    InvalidValueError,
    Message,
    Operation,
    ScheduleTask,
    SendMessage,
    SpawnAgent,
    StepIntent,
    TaskId,
    TaskSpec,
)

_AGENT = AgentId("01JD3X8ZK5Q6T7V8W9XAYBZCDE")


def _raw(size: int) -> msgspec.Raw:
    return msgspec.Raw(b'"' + b"x" * (size - 2) + b'"')


@pytest.mark.parametrize("operation", [*get_args(Operation), Extension])
def test_every_operation_has_a_canonical_encoding(operation) -> None:
    Codec(operation)


def test_an_operation_reads_back_as_it_was() -> None:
    operation = SpawnAgent(_AGENT, "child", ("fs:read:/data/**",), Budget(money=5))
    codec = Codec(SpawnAgent)
    assert codec.decode(codec.encode(operation)) == operation


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_a_blank_description_is_refused(text) -> None:
    with pytest.raises(InvalidValueError, match="blank"):
        TaskSpec(text)


def test_a_description_is_measured_in_bytes() -> None:
    TaskSpec("x" * MAX_TASK_DESCRIPTION_BYTES)
    TaskSpec("é" * (MAX_TASK_DESCRIPTION_BYTES // 2))
    with pytest.raises(InvalidValueError, match="4096 bytes"):
        TaskSpec("é" * (MAX_TASK_DESCRIPTION_BYTES // 2) + "x")


def test_an_unknown_priority_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="critical, high, medium, low"):
        TaskSpec("x", "urgent")  # type: ignore[arg-type]  # what a caller without types may pass


def _step() -> StepIntent:
    return StepIntent(TaskId(f"{_AGENT}#0"), 1, "root", 0, "noop", "none", msgspec.Raw(b"{}"))


@pytest.mark.parametrize(
    ("build", "limit"),
    [
        (lambda raw: EmitObservation(_AGENT, "topic", raw), MAX_OBSERVATION_BYTES),
        (lambda raw: SendMessage(_AGENT, raw), MAX_OBSERVATION_BYTES),
        (lambda raw: SpawnAgent(None, "x", spec=raw), MAX_SPEC_BYTES),
        (lambda raw: CompleteTask(TaskId("x#0"), 1, raw), MAX_STEP_RESULT_BYTES),
        (lambda raw: FinishStep(_step(), 0, raw), MAX_STEP_RESULT_BYTES),
    ],
    ids=["observation", "message", "spec", "task result", "step result"],
)
def test_a_size_over_the_limit_is_refused_at_construction(build, limit) -> None:
    build(_raw(limit))
    with pytest.raises(InvalidValueError, match=str(limit)):
        build(_raw(limit + 1))


def test_too_many_permissions_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="101 permissions"):
        SpawnAgent(None, "x", ("fs:read:/a",) * (MAX_PERMISSIONS + 1))


def test_a_message_never_shows_its_token() -> None:
    message = Message("secret-token", ScheduleTask(_AGENT, TaskSpec("x")))
    assert "secret-token" not in repr(message)


@pytest.mark.parametrize("token", ["", "x" * (MAX_TOKEN_BYTES + 1)])
def test_a_token_of_impossible_size_is_refused(token) -> None:
    with pytest.raises(InvalidValueError, match="token"):
        Message(token, ScheduleTask(_AGENT, TaskSpec("x")))


def test_an_idempotency_key_is_bounded() -> None:
    with pytest.raises(InvalidValueError, match="idempotency key"):
        Message("t", ScheduleTask(_AGENT, TaskSpec("x")), "k" * 257)


def test_amounts_add_up_and_never_go_below_zero() -> None:
    assert Amounts(1, 2, 3) + Amounts(10, 20, 30) == Amounts(11, 22, 33)
    with pytest.raises(InvalidValueError, match="negative"):
        Amounts(money=-1)
    with pytest.raises(InvalidValueError, match="negative"):
        Budget(tokens=-1)
