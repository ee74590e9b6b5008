from __future__ import annotations

import pytest

from toka.agent_runtime import PlaybookInvalid, TaskLimits
from toka.types import NANOSECONDS, Json


def test_limits_are_read_as_a_specification_writes_them():
    limits = TaskLimits.parse({"max_memory": "512MB", "max_cpu": "75%", "timeout": "5m", "x": 1})
    assert limits == TaskLimits(512 << 20, 0.75, 300 * NANOSECONDS)


def test_limits_reach_the_tools():
    tools = TaskLimits(max_memory=1 << 20, max_cpu=1.5).for_tools()
    assert (tools.max_memory_bytes, tools.max_cpu_percent) == (1 << 20, 150.0)
    assert TaskLimits().for_tools().max_cpu_percent is None


@pytest.mark.parametrize(
    "source", [{"max_memory": "lots"}, {"max_cpu": True}, {"timeout": ["5m"]}, {"timeout": "-1s"}]
)
def test_a_wrong_limit_says_which(source: dict[str, Json]):
    with pytest.raises(PlaybookInvalid) as caught:
        TaskLimits.parse(source)
    assert caught.value.path == tuple(source)
