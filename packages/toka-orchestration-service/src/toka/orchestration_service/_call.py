"""One request, after it is known who makes it: parameters, body and permission, each checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

import attrs
import msgspec

from toka.capability.core import Permission
from toka.orchestration_service._errors import (
    Forbidden,
    InvalidRequest,
    MalformedRequest,
    TooLarge,
    UnsupportedBody,
)
from toka.types import MAX_IDEMPOTENCY_KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from toka.capability.core import Claims
    from toka.orchestration_service._service import Service

T = TypeVar("T")

MAX_BODY_BYTES: Final = 1_048_576
MAX_JSON_DEPTH: Final = 64
MAX_PAGE: Final = 500
USUAL_PAGE: Final = 100
MAX_REPEATED: Final = 32
"""How often one parameter may be given."""

_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]")


@attrs.frozen
class Call:
    """A request and its caller."""

    service: Service
    request: web.Request
    token: str = attrs.field(repr=False)
    claims: Claims | None
    """None where the resource is open to everybody."""

    @property
    def parameters(self) -> dict[str, str]:
        """The parts of the path that were named."""
        return dict(self.request.match_info)

    def require(self, needed: str) -> None:
        """Refuse a caller whose token does not cover `needed`, a permission or a pattern of them.

        Raises:
            Forbidden: It does not.
        """
        if not self.covers(needed):
            raise Forbidden(needed)

    def covers(self, needed: str) -> bool:
        """Say whether the caller's token covers a permission, or a pattern of them."""
        return (
            self.claims is not None
            and self.claims.granted.covers(Permission.parse(needed)) is not None
        )

    def text(self, name: str) -> str:
        """Return a parameter of the query; empty where it is not given.

        Raises:
            MalformedRequest: It is given more than once.
        """
        values = self.request.query.getall(name, [])
        if len(values) > 1:
            raise MalformedRequest(f"The parameter {name!r} is given {len(values)} times.")
        return values[0] if values else ""

    def choice(self, name: str, known: Sequence[str]) -> str:
        """Return a parameter of the query that is one of few; the first where it is not given.

        Raises:
            MalformedRequest: It is another.
        """
        value = self.text(name) or known[0]
        if value not in known:
            raise _unknown(name, value, known)
        return value

    def texts(self, name: str, known: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a parameter of the query that may be given several times.

        Raises:
            MalformedRequest: One is not known, or there are too many.
        """
        values = tuple(value for value in self.request.query.getall(name, []) if value)
        if len(values) > MAX_REPEATED:
            raise MalformedRequest(f"The parameter {name!r} is given over {MAX_REPEATED} times.")
        for value in values:
            if known and value not in known:
                raise _unknown(name, value, known)
        return values

    def idempotency_key(self) -> str:
        """Return the header of that name; empty where it is not given.

        Raises:
            MalformedRequest: It is too long, or not printable.
        """
        key = self.request.headers.get("Idempotency-Key", "")
        if len(key.encode(errors="replace")) > MAX_IDEMPOTENCY_KEY_BYTES or not key.isprintable():
            raise MalformedRequest(
                f"The Idempotency-Key is over {MAX_IDEMPOTENCY_KEY_BYTES} bytes, or not printable."
            )
        return key

    def number(self, name: str, usual: int, maximum: int) -> int:
        """Return a parameter of the query as a number.

        Raises:
            MalformedRequest: It is no number from 0 to `maximum`.
        """
        value = self.text(name)
        if not value:
            return usual
        if not (value.isascii() and value.isdecimal()) or len(value) > len(str(maximum)):
            raise MalformedRequest(f"{name}={value[:40]!r} is not a number from 0 to {maximum}.")
        if int(value) > maximum:
            raise MalformedRequest(f"{name}={value} is more than {maximum}.")
        return int(value)

    def flag(self, name: str, *, usual: bool) -> bool:
        """Return a parameter of the query as a truth value.

        Raises:
            MalformedRequest: It is neither true nor false.
        """
        value = self.text(name)
        if value not in ("", "true", "false"):
            raise MalformedRequest(f"{name}={value[:40]!r} is neither true nor false.")
        return usual if not value else value == "true"

    def page_size(self) -> int:
        """Return how many things the caller wants at once.

        Raises:
            MalformedRequest: `limit` is no number from 1 to 500.
        """
        limit = self.number("limit", USUAL_PAGE, MAX_PAGE)
        if not limit:
            raise MalformedRequest("limit=0 asks for nothing.")
        return limit

    async def body_or(self, usual: T) -> T:
        """Read the body if there is one.

        Raises:
            ServiceError: As `body`.
        """
        return await self.body(type(usual)) if self.request.can_read_body else usual

    async def body(self, kind: type[T]) -> T:
        """Read the body: its type, its length and its nesting are looked at before it is parsed.

        Raises:
            UnsupportedBody: It is not plain JSON.
            TooLarge: It is over 1 MiB, or nested deeper than 64.
            MalformedRequest: It is not well-formed.
            InvalidRequest: It is not of that kind.
        """
        request = self.request
        if request.content_type != "application/json" or "Content-Encoding" in request.headers:
            raise UnsupportedBody(
                "The body is not plain JSON.", hint="Send Content-Type: application/json."
            )
        data = await request.read()
        _check_depth(data)
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"The body is not acceptable: {error}.") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedRequest(f"The body is not JSON: {error}.") from error


def _unknown(name: str, value: str, known: Sequence[str]) -> MalformedRequest:
    return MalformedRequest(
        f"{name}={value[:40]!r} is not known.", hint=f"Known are {', '.join(known)}."
    )


def _check_depth(data: bytes) -> None:
    depth = 0
    for bracket in _BRACKETS.findall(_TEXT.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise TooLarge(f"The body is nested deeper than {MAX_JSON_DEPTH}.")
