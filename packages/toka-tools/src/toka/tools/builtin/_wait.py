"""The tool `wait`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import attrs
from msgspec import Meta

from toka.tools._errors import InvalidArgumentsError
from toka.tools._typed import Output, TypedTool
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import SideEffect


@attrs.frozen
class WaitArguments:
    """Arguments of `wait`."""

    seconds: Annotated[float, Meta(ge=0, le=31_536_000)] | None = None
    until: Annotated[
        str | None,
        Meta(description="Instead, a time with its zone, such as 2026-01-02T03:04:05Z."),
    ] = None


class Wait(TypedTool[WaitArguments]):
    """Lets time pass."""

    name = "wait"
    description = "Wait for some seconds or until a time; a time that has passed is not waited for."
    side_effect: SideEffect = "none"
    taints = False
    kind = WaitArguments

    def needs(self, arguments: WaitArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - time is everybody's
        return ()

    async def run(self, arguments: WaitArguments, context: ToolContext) -> Output:
        clock = context.clock
        wanted = _nanoseconds(arguments, clock.now())
        if wanted > context.timeout_ns:
            raise InvalidArgumentsError(
                f"The wait is {wanted / NANOSECONDS:g} s long, and the call may take"
                f" {context.timeout_ns / NANOSECONDS:g} s.",
                hint="Wait for less, or with a longer time limit.",
            )
        started = clock.monotonic()
        if wanted > 0:
            await clock.sleep(wanted)
        waited = clock.monotonic() - started
        return Output({"waited": waited / NANOSECONDS, "now": _text(clock.now())})


def _nanoseconds(arguments: WaitArguments, now: int) -> int:
    if (arguments.seconds is None) == (arguments.until is None):
        raise InvalidArgumentsError("wait takes `seconds` or `until`, one of them.")
    if arguments.until is None:
        return int((arguments.seconds or 0) * NANOSECONDS)
    return _moment(arguments.until) - now


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgumentsError(f"`until`: {error}.") from error
    if moment.tzinfo is None:
        raise InvalidArgumentsError(
            f"{text!r} does not say in which zone.", hint="End it with Z or +02:00."
        )
    try:
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError as error:
        raise InvalidArgumentsError(f"`until`: {error}.") from error
    whole = since.days * 86_400 + since.seconds
    return whole * NANOSECONDS + since.microseconds * 1_000


def _text(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC).isoformat()
