"""Requests, for whoever follows what the runtime does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Follower:
    current = ""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, str]] = []
        self.said: dict[str, Any] = {}

    @contextmanager
    def span(
        self, name: str, _: Any = None, *, parent: str = "", kind: str = "internal"
    ) -> Iterator[None]:
        self.spans.append((name, parent, kind))
        yield

    def annotate(self, attributes: Any) -> None:
        self.said.update(attributes)

    def environment(self) -> dict[str, str]:
        return {}


async def test_a_request_is_a_span_of_the_trace_that_it_tells_of(served) -> None:
    served.runtime.tracing = follower = Follower()
    await served.ask("/v1/runs", headers={"traceparent": PARENT})
    await served.ask("/v1/runs/01JD3X8ZK5Q6T7V8W9XAYBZCDE")

    assert follower.spans == [
        ("GET /v1/runs", PARENT, "server"),
        ("GET /v1/runs/{run}", "", "server"),
    ]
    assert follower.said["http.response.status_code"] == 404


async def test_signs_of_life_and_unknown_addresses_tell_little(served) -> None:
    served.runtime.tracing = follower = Follower()
    await served.ask("/health")
    await served.ask("/v1/nothing/here")

    assert [name for name, _, _ in follower.spans] == ["other other"]
