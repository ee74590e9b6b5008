"""From what a token said to what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.orchestration_service._shapes import moment
from toka.orchestration_service._shapes_agents import Token, TokenLink
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.kernel import TokenAdmitted


def render_token(body: TokenAdmitted) -> Token:
    """Return what a token said when it was first used."""
    return Token(
        token=body.token,
        subject=body.subject,
        vault=body.vault,
        permissions=body.permissions,
        untainted=body.untainted,
        issued=moment(body.issued_at * NANOSECONDS),
        expires=moment(body.expires_at * NANOSECONDS),
        chain=tuple(TokenLink(link.token, link.subject) for link in body.chain),
        bound_to_key=body.holder is not None,
    )
