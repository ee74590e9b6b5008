"""Who vouches for requests to a server: a token that is there, or one that is got when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class Challenge:
    """What a server answered to a request that it did not accept."""

    status: int
    """401 or 403."""
    headers: Mapping[str, str] = attrs.field(repr=False)
    """Names in lower case."""
    sent: str | None = attrs.field(repr=False)
    """The `Authorization` of the refused request."""
    revision: str
    """The revision of MCP that the request said."""


class Authorizer(Protocol):
    """Gives tokens to the requests of one server."""

    async def authorization(self) -> str | None:
        """Return the value of the header `Authorization`, or None for none."""
        ...

    async def answer(self, challenge: Challenge) -> bool:
        """Try to have what the server asks for; say whether to send the request again.

        Raises:
            AuthorizationError: It cannot be had.
        """
        ...


@attrs.frozen
class BearerToken:
    """A token that does not change."""

    _token: str = attrs.field(repr=False)

    async def authorization(self) -> str:
        """Return the value of the header `Authorization`."""
        return f"Bearer {self._token}"

    async def answer(self, challenge: Challenge) -> bool:  # noqa: ARG002 - whatever it is
        """Say no: there is no other token."""
        return False


@attrs.frozen
class NoToken:
    """No token at all."""

    async def authorization(self) -> None:
        """Return None."""
        return

    async def answer(self, challenge: Challenge) -> bool:  # noqa: ARG002 - whatever it is
        """Say no."""
        return False


if TYPE_CHECKING:
    _implement: tuple[type[Authorizer], ...] = (BearerToken, NoToken)
