"""The seam at which the way of a request can be followed; by default nobody does.

The runtime and what is built on it say where work begins and ends. Who listens is decided where a
process starts: `toka.performance` listens with OpenTelemetry, and nothing here knows of it.

The trace of whoever submits a message goes into the log with its events, as a tag. So work on what
was asked for belongs to the trace of who asked, in another task, after a crash, in another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

Attribute: TypeAlias = "str | int | float | bool"
"""What can be said of a span. Never a prompt, a secret, or anything that a tool returned."""
SpanKind: TypeAlias = Literal["internal", "server", "client"]

_TAG: Final = "trace:"
_NOTHING: Final[Mapping[str, Attribute]] = {}


class Tracing(Protocol):
    """Follows work from one place to the next."""

    @property
    def current(self) -> str:
        """The open span as a `traceparent` of W3C Trace Context; empty if nobody records it."""
        ...

    def span(
        self,
        name: str,
        attributes: Mapping[str, Attribute] = _NOTHING,
        *,
        parent: str = "",
        kind: SpanKind = "internal",
    ) -> AbstractContextManager[object]:
        """Let what is done in the block be a span, and what raises end it as failed.

        Args:
            name: One of few; what differs from one time to the next is an attribute.
            attributes: What is known when it begins.
            parent: A `traceparent` to belong to; without one it is the open span, if there is any.
            kind: Whether it answers or asks somebody else.
        """
        ...

    def annotate(self, attributes: Mapping[str, Attribute]) -> None:
        """Say something of the open span that was not known when it began."""
        ...

    def environment(self) -> Mapping[str, str]:
        """Return the variables that tell a child process of the open span."""
        ...


class _Untraced:
    """Follows nothing, at the cost of a call."""

    current: str = ""

    def span(
        self,
        name: str,  # noqa: ARG002 - of the protocol
        attributes: Mapping[str, Attribute] = _NOTHING,  # noqa: ARG002
        *,
        parent: str = "",  # noqa: ARG002
        kind: SpanKind = "internal",  # noqa: ARG002
    ) -> Self:
        return self

    def annotate(self, attributes: Mapping[str, Attribute]) -> None:
        pass

    def environment(self) -> Mapping[str, str]:
        return {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass


NO_TRACING: Final[Tracing] = _Untraced()
"""Nobody listens."""


def tags_of(traceparent: str) -> tuple[str, ...]:
    """Return the tags that events of a trace have."""
    return (_TAG + traceparent,) if traceparent else ()


def trace_in(tags: tuple[str, ...]) -> str:
    """Return the `traceparent` that an event's tags tell of; empty if they tell of none."""
    return next((tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)), "")
