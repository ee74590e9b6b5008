"""Answers as bytes: tagged, and kept as long as nothing has happened that could change them.

By its tag a client asks whether it has the answer (RFC 9110, 8.8.3). That is for programs: browsers
are told to store nothing, because what agents do is nobody else's business.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Hashable

    from aiohttp import web

    from toka.orchestration_service._call import Call
    from toka.orchestration_service._route import Route

KEPT: Final = 256
KEPT_BYTES: Final = 65_536
"""A longer answer is made anew each time."""
_TAG_BYTES: Final = 12

Question: TypeAlias = tuple[bytes, str]
"""Digest of the token, and the address."""


@attrs.frozen
class Answer:
    """An answer to a read."""

    body: bytes
    tag: str

    @classmethod
    def of(cls, body: bytes) -> Answer:
        """Return the answer that a body is."""
        return cls(body, hashlib.blake2b(body, digest_size=_TAG_BYTES).hexdigest())

    def respond(self, request: web.Request, media: str) -> web.Response:
        """Return the response: the body, or that the client has it."""
        from aiohttp import web  # noqa: PLC0415 - who only runs agents need not load it

        headers = {"ETag": f'"{self.tag}"'}
        if _has(request, self.tag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=self.body, headers=headers, content_type=media)


def _has(request: web.Request, tag: str) -> bool:
    # Compared weakly, as the header demands (RFC 9110, 13.1.2).
    return any(each.value in (tag, "*") for each in request.if_none_match or ())


class Answers:
    """The newest answers to reads of what the log alone decides."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Question, tuple[Hashable, Answer]] = OrderedDict()

    async def get(self, call: Call, route: Route) -> Answer:
        """Return the answer to a read, made now unless it would be the same."""
        if not route.of_log:
            return Answer.of(msgspec.json.encode(await route.handler(call)))
        question = _question_of(call)
        moment = _moment_of(call)
        kept = self._kept.get(question)
        if kept is not None and kept[0] == moment:
            self._kept.move_to_end(question)
            return kept[1]
        answer = Answer.of(msgspec.json.encode(await route.handler(call)))
        # What was committed while it was made may or may not be in it.
        if len(answer.body) <= KEPT_BYTES and _moment_of(call) == moment:
            self._keep(question, moment, answer)
        return answer

    def _keep(self, question: Question, moment: Hashable, answer: Answer) -> None:
        self._kept[question] = (moment, answer)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _question_of(call: Call) -> Question:
    return hashlib.blake2b(call.token.encode(), digest_size=16).digest(), call.request.path_qs


def _moment_of(call: Call) -> Hashable:
    """Return what is another value after anything that an answer is made of has changed."""
    service = call.service
    return service.runtime.position, service.executions.changes
