"""One call after another to one provider: tries, waits, refusals, prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from toka.llm_gateway._errors import (
    AuthenticationFailed,
    CallFailed,
    ContextTooLong,
    ModelNotFound,
    QuotaExhausted,
)
from toka.llm_gateway._prices import PriceTable
from toka.llm_gateway.formats._dialect import StreamRefused
from toka.llm_gateway.http._address import check_base_url
from toka.llm_gateway.http._transport import Deadline, HttpAnswer, Transport
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.llm_gateway.formats._dialect import Refusal
    from toka.llm_gateway.http._options import HttpOptions
    from toka.llm_gateway.http._secret import ApiKey
    from toka.llm_gateway.http._signature import Signer
    from toka.types import Json

T = TypeVar("T")

OK: Final = 200
BYTES_PER_TOKEN: Final = 3
"""Tokenizers make fewer tokens than this gives, of prose and code in any script."""
_MAX_ERROR_BYTES: Final = 64 * 1024
_MAX_REQUEST_ID: Final = 200
_REQUEST_ID_HEADERS: Final = ("request-id", "x-request-id", "x-amzn-requestid")


@attrs.define
class Call:
    """One call and its tries so far."""

    model: str
    path: str
    body: bytes = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(repr=False)
    started: int
    deadline: Deadline
    attempts: int = 1


class Caller:
    """Makes calls to one base address with one key."""

    def __init__(
        self,
        provider: str,
        base_url: str,
        key: ApiKey | None,
        options: HttpOptions,
        refusal: Callable[[int, bytes], Refusal],
        signer: Signer | None = None,
    ) -> None:
        """Prepare to call.

        Args:
            provider: The name in errors, and the section of the price table.
            base_url: What all paths follow.
            key: Struck out of everything that is quoted.
            options: Limits, retries, prices.
            refusal: Reads the body of an unsuccessful answer.
            signer: Signs each try, for providers that want no key but a signature.

        Raises:
            ConfigurationInvalid: The address cannot be used.

        """
        self.provider: Final = provider
        self.options: Final = options
        self.clock: Final = options.clock
        self.transport: Final = Transport(
            check_base_url(base_url, key, allow_insecure=options.allow_insecure),
            options.timeouts,
            options.max_response_bytes,
            signer,
        )
        self._key: Final = key
        self._refusal: Final = refusal
        self._prices = options.prices

    @property
    def prices(self) -> PriceTable:
        if self._prices is None:
            self._prices = PriceTable.built_in()
        return self._prices

    def begin(
        self,
        model: str,
        path: str,
        body: bytes,
        headers: Callable[[str | None], Mapping[str, str]],
    ) -> Call:
        """Return a call that is about to be made."""
        key = None if self._key is None else self._key.reveal()
        total = self.options.timeouts.total
        return Call(
            model,
            path,
            body,
            dict(headers(key)),
            self.clock.monotonic(),
            Deadline.after(total, "total"),
        )

    async def whole(self, call: Call, decode: Callable[[bytes], T]) -> tuple[T, str]:
        """Return what the answer's body says, and the provider's name for the call."""
        while True:
            try:
                return await self._whole_once(call, decode)
            except CallFailed as error:
                delay = self.delay(call, error)
                if delay is None:
                    raise
            await self.pause(call, delay)

    async def _whole_once(self, call: Call, decode: Callable[[bytes], T]) -> tuple[T, str]:
        async with self.transport.post(call.path, call.body, call.headers, call.deadline) as http:
            if http.status != OK:
                raise await self.refused(call, http)
            body = await http.read(call.deadline)
            try:
                return decode(body), request_id(http)
            except StreamRefused as signal:
                refusal = signal.refusal
            raise self.failure(call, refusal, self.facts(http))

    async def refused(self, call: Call, http: HttpAnswer) -> CallFailed:
        """Return the error that an unsuccessful answer is."""
        facts = self.facts(http)
        body = b""
        try:
            body = await http.read(call.deadline)
        except CallFailed as error:
            # The status says enough; the body would only have explained it.
            facts["body"] = error.code
        return self.failure(call, self._refusal(http.status, body[:_MAX_ERROR_BYTES]), facts)

    def failure(self, call: Call, refusal: Refusal, facts: dict[str, Json]) -> CallFailed:
        """Return the error that a refusal is."""
        said = ", ".join([str(fact) for fact in (refusal.reason, facts.get("status")) if fact])
        message = f"{self.provider} did not answer the call to {call.model!r} ({said})"
        # Complaints about a key quote a part of it.
        if refusal.complaint and not issubclass(refusal.kind, AuthenticationFailed):
            from toka.llm_gateway.http._quote import quote  # noqa: PLC0415 - loaded for failures

            message = f"{message}: {quote(refusal.complaint, call.body, self._key)}"
        return refusal.kind(
            message if message.endswith(".") else f"{message}.",
            hint=_hint(refusal.kind),
            details={**facts, "reason": refusal.reason},
        )

    def facts(self, http: HttpAnswer) -> dict[str, Json]:
        """Return what an answer's head says."""
        from toka.llm_gateway.http._retry_after import (  # noqa: PLC0415 - loaded for failures
            retry_after_ns,
        )

        facts: dict[str, Json] = {"status": http.status, "request_id": request_id(http)}
        wait = retry_after_ns(http.headers, self.clock.now())
        if wait is not None:
            facts["retry_after_ns"] = wait
        told = http.headers.get("x-should-retry", "").lower()
        if told in {"true", "false"}:
            facts["should_retry"] = told == "true"
        return facts

    def delay(self, call: Call, error: CallFailed) -> int | None:
        """Return how long to wait before the next try; None for no next one."""
        error.add_details(
            {"provider": self.provider, "model": call.model, "attempts": call.attempts}
        )
        delay = self.options.retry.delay_ns(call.attempts, error, self.options.random)
        end = call.started + int(self.options.timeouts.total * NANOSECONDS)
        if delay is None or self.clock.monotonic() + delay >= end:
            return None
        return delay

    async def pause(self, call: Call, delay: int) -> None:
        """Wait before the next try."""
        await self.clock.sleep(delay)
        call.attempts += 1


def request_id(http: HttpAnswer) -> str:
    """Return the provider's name for a call."""
    headers = http.headers
    return next((said for name in _REQUEST_ID_HEADERS if (said := headers.get(name))), "")[
        :_MAX_REQUEST_ID
    ]


_HINTS: Final[tuple[tuple[type[CallFailed], str], ...]] = (
    (AuthenticationFailed, "Check the key, and what it is allowed to do."),
    (ContextTooLong, "Shorten the conversation, or take a model with a larger window."),
    (ModelNotFound, "Check the model's name and the base address."),
    (QuotaExhausted, "Add credit at the provider, or use another key."),
)


def _hint(kind: type[CallFailed]) -> str:
    return next((hint for failed, hint in _HINTS if issubclass(kind, failed)), "")
