"""Reading an agent's mailbox: a message is taken out in the decision that records its reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.agent_runtime._encoding import decode, encode
from toka.agent_runtime._steps import Outcome, Step
from toka.kernel import MessageSent
from toka.runtime import Rejected, from_store
from toka.types import NULL

if TYPE_CHECKING:
    import msgspec

    from toka.agent_runtime._run import Run
    from toka.agent_runtime._steps import Place
    from toka.kernel import KernelState, Mail
    from toka.types import EntityId, Json


async def receive(run: Run, place: Place, deadline: int | None) -> Json:
    """Return the body of the next message, or None at the deadline."""
    arguments = encode({"deadline": deadline}, "The deadline")
    if run.journal.has(place.path, place.next):
        return await _take(run, place, arguments, None)
    while True:
        mail = await _next_mail(run, deadline)
        try:
            return await _take(run, place, arguments, mail)
        except Rejected as rejected:
            # Another branch has read it first.
            if rejected.code != "kernel.unknown_message":
                raise


async def _next_mail(run: Run, deadline: int | None) -> tuple[EntityId, Mail] | None:
    agent = run.session.agent

    def first(state: KernelState) -> tuple[EntityId, Mail] | None:
        return next(iter(state.mailbox(agent).items()), None)

    return await run.session.until(first, deadline)


async def _take(
    run: Run, place: Place, arguments: msgspec.Raw, mail: tuple[EntityId, Mail] | None
) -> Json:
    async def call(_: int) -> Outcome:
        return Outcome(NULL if mail is None else await _body(run, mail[1]))

    step = Step("receive", "none", arguments, message=None if mail is None else mail[0])
    return decode(await run.steps.run(place, step, call))


async def _body(run: Run, mail: Mail) -> msgspec.Raw:
    stored = await run.session.runtime.store.get(mail.event)
    body = None if stored is None else from_store(stored).event.body
    assert isinstance(body, MessageSent)  # noqa: S101 - the mailbox names nothing else
    return body.body
