"""Handlers of what an agent has: messages that wait, and permissions with their origins."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from toka.kernel import MessageSent
from toka.orchestration_service._agents import find_agent
from toka.orchestration_service._render import bounded
from toka.orchestration_service._shapes import moment
from toka.orchestration_service._shapes_agents import Mail, Mailbox
from toka.runtime import from_store
from toka.types import NULL

if TYPE_CHECKING:
    import msgspec

    from toka.kernel import Mail as KernelMail
    from toka.orchestration_service._call import Call
    from toka.types import EntityId


async def get_mailbox(call: Call) -> Mailbox:
    """Return messages that wait in an agent's mailbox.

    Raises:
        NotFound: There is no such agent.
    """
    view = await find_agent(call)
    after, limit = call.number("after", 0, 2**53), call.page_size()
    waiting = call.service.runtime.state.mailbox(view.agent)
    behind = ((name, mail) for name, mail in waiting.items() if mail.number >= after)
    page = list(islice(behind, limit))
    more = next(behind, None)
    letters = [await _render(call, name, mail) for name, mail in page]
    return Mailbox(
        view.agent, len(waiting), tuple(letters), None if more is None else str(more[1].number)
    )


async def _render(call: Call, name: EntityId, mail: KernelMail) -> Mail:
    stored = await call.service.runtime.store.get(mail.event)
    body, sent = NULL, 0
    if stored is not None and not stored.compacted:
        event = from_store(stored).event
        sent = event.time
        if isinstance(event.body, MessageSent):
            body = event.body.body
    return Mail(name, mail.sender, moment(sent), mail.event, bounded(body), _size(body))


def _size(data: msgspec.Raw) -> int:
    return len(bytes(data))
