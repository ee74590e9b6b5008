"""One request on its way through the gateway, and what is written down of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway.formats._face import Stamp
from toka.llm_gateway.server._audit import AuditRecord
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from toka.llm_gateway._response import ModelResponse
    from toka.llm_gateway.server._audit import Audit
    from toka.llm_gateway.server._failures import Failure
    from toka.types import Clock

_BEARER: Final = "bearer "
_MAX_KEY: Final = 255


class Exchange:
    """Gathers what is known of a request."""

    def __init__(self, http: web.Request, clock: Clock) -> None:
        self.http: Final = http
        self.id: Final = os.urandom(12).hex()
        self._clock: Final = clock
        self._began: Final = clock.monotonic()
        self._record = AuditRecord(clock.now(), self.id, "", http.path, "", 0)

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.id, self._record.time_ns // NANOSECONDS)

    @property
    def headers(self) -> dict[str, str]:
        """What every answer carries."""
        return {"x-request-id": f"req_{self.id}", "request-id": f"req_{self.id}"}

    @property
    def idempotency_key(self) -> str:
        """The caller's key, if it is one that can go on."""
        key = self.http.headers.get("Idempotency-Key", "")
        return key if len(key) <= _MAX_KEY and key.isascii() and key.isprintable() else ""

    def learn(self, *, tenant: str | None = None, model: str | None = None) -> None:
        """Take notice of who asks, and for what."""
        if tenant is not None:
            self._record = attrs.evolve(self._record, tenant=tenant)
        if model is not None:
            self._record = attrs.evolve(self._record, model=model)

    def answered(self, response: ModelResponse, *, streamed: bool) -> None:
        """Take notice of an answer."""
        usage = response.usage
        self._record = attrs.evolve(
            self._record,
            status=200,
            provider=response.provider,
            answered_by=response.model,
            streamed=streamed,
            attempts=response.attempts,
            input_tokens=usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens,
            output_tokens=usage.output_tokens,
            cost_micro_usd=None if response.cost is None else response.cost.micro_usd,
            provider_request_id=response.request_id,
        )

    def failed(self, failure: Failure) -> None:
        """Take notice of a failure."""
        self._record = attrs.evolve(self._record, status=failure.status, code=failure.code)

    def close(self, audit: Audit) -> None:
        """Write down what is known. A caller that left has no status."""
        took = self._clock.monotonic() - self._began
        code = self._record.code or ("" if self._record.status else "left")
        audit.note(attrs.evolve(self._record, duration_ns=took, code=code))


def credential_of(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token, or what Anthropic's callers send instead."""
    authorization = headers.get("Authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get("x-api-key")
