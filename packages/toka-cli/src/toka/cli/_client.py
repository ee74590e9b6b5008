"""A client of the service, for commands that are given `--url`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

import aiohttp
import attrs
import msgspec

from toka.cli._errors import ServiceRefused, Unreachable, UsageError
from toka.cli._show import printable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from toka.types import Json, JsonObject

T = TypeVar("T")

NOT_MODIFIED: Final = 304
POLLED: Final = 64
"""Answers that are kept for `poll`; with more, all are asked for anew."""


@attrs.frozen
class _Problem:
    """What a command needs of a problem document."""

    detail: str = ""
    code: str = ServiceRefused.default_code
    hint: str = ""


class Client:
    """Asks one service under one token. Enter it before the first request."""

    def __init__(self, url: str, token: str | None) -> None:
        """Prepare to ask.

        Raises:
            UsageError: There is no token, or the address is none.
        """
        if not token:
            raise UsageError(
                f"The service at {printable(url, 80)} wants a capability token.",
                hint="Give --token or TOKA_TOKEN; `toka token mint` makes one.",
            )
        if not url.startswith(("http://", "https://")):
            raise UsageError(
                f"{printable(url, 80)!r} is no address of a service.",
                hint="As in --url http://127.0.0.1:8080.",
            )
        self._url = url.rstrip("/")
        self._token = token
        self._polled: dict[tuple[str, ...], tuple[str, object]] = {}

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._url

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._token}"}
        self._session = aiohttp.ClientSession(headers=headers)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._session.close()

    async def get(self, path: str, kind: type[T], **query: str) -> T:
        """Return what is at a path.

        Raises:
            Unreachable: No service answers.
            ServiceRefused: The service says no.
        """
        return await self._ask("GET", path, kind, query, None)

    async def poll(self, path: str, kind: type[T], **query: str) -> T:
        """Return what is at a path, which is not sent again while it is the same.

        Raises:
            Unreachable: No service answers.
            ServiceRefused: The service says no.
        """
        place = (path, *query, *query.values())
        tag, known = self._polled.get(place, ("", None))
        try:
            async with self._session.get(
                self._url + path, params=query, headers={"If-None-Match": tag} if tag else {}
            ) as answer:
                if answer.status == NOT_MODIFIED:
                    assert known is not None  # noqa: S101 - or no tag would have been sent
                    return cast("T", known)
                data = await answer.read()
                await self._check(answer, data)
                value = msgspec.json.decode(data, type=kind)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            raise self._unreachable(error) from error
        if len(self._polled) >= POLLED:
            self._polled.clear()
        self._polled[place] = (answer.headers.get("ETag", ""), value)
        return value

    async def post(self, path: str, kind: type[T], body: Mapping[str, Json]) -> T:
        """Send a body to a path and return the answer.

        Raises:
            Unreachable: No service answers.
            ServiceRefused: The service says no.
        """
        return await self._ask("POST", path, kind, {}, body)

    async def _ask(
        self, method: str, path: str, kind: type[T], query: Mapping[str, str], body: object
    ) -> T:
        try:
            async with self._session.request(
                method, self._url + path, params=query, json=body
            ) as answer:
                data = await answer.read()
                await self._check(answer, data)
                return msgspec.json.decode(data, type=kind)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error
        except msgspec.MsgspecError as error:
            raise self._unreachable(error) from error

    async def events(
        self, query: Mapping[str, str | list[str]]
    ) -> AsyncGenerator[JsonObject, None]:
        """Yield events of the log.

        Raises:
            Unreachable: No service answers, or it went away.
            ServiceRefused: The service says no.
        """
        endless = aiohttp.ClientTimeout(total=None, sock_connect=30)
        address = self._url + "/v1/events"
        try:
            # A line holds an event, and an event holds at most a step's result.
            async with self._session.get(
                address, params=query, timeout=endless, read_bufsize=2**25
            ) as answer:
                if not answer.ok:
                    await self._check(answer, await answer.read())
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        yield msgspec.json.decode(line[6:], type=dict[str, Any])
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def _check(self, answer: aiohttp.ClientResponse, data: bytes) -> None:
        if answer.ok:
            return
        if answer.content_type != "application/problem+json":
            raise self._unreachable(f"it answers {answer.status} {answer.reason}")
        problem = msgspec.json.decode(data, type=_Problem)
        raise ServiceRefused(printable(problem.detail), code=problem.code, hint=problem.hint)

    def _unreachable(self, why: object) -> Unreachable:
        return Unreachable(
            f"No Toka service answers at {self._url}: {printable(str(why))}.",
            hint="`toka serve` starts one; `toka status` without --url reads the data directory.",
        )
