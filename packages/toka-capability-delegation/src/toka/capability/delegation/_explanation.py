"""Why a token allows a request, or why not: the whole derivation as data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.capability.core import Caveat, Denial, encode_caveats

if TYPE_CHECKING:
    from toka.types import Json


@attrs.frozen
class Step:
    """One token of a chain, held against the request."""

    number: int
    """0 for the root, then the hops."""
    token_id: str
    """What revoking names: this hop and all behind it."""
    delegator: str | None
    """Who handed it on; None for the root."""
    subject: str
    caveats: tuple[Caveat, ...]
    """What this hop held back."""
    permission: str | None
    """The permission that grants the request so far."""
    denial: Denial | None
    """Why nothing grants it from here on."""

    def as_json(self) -> dict[str, Json]:
        """Return the step as JSON."""
        return {
            "number": self.number,
            "token_id": self.token_id,
            "delegator": self.delegator,
            "subject": self.subject,
            "caveats": encode_caveats(self.caveats),
            "permission": self.permission,
            "denial": denial_as_json(self.denial),
        }


@attrs.frozen
class Explanation:
    """The answer to a request, and every step that led to it. For the audit, not for strangers."""

    request: str
    steps: tuple[Step, ...]
    """From the root to the last hop, or to the one before the hop that is not valid."""
    denial: Denial | None
    """The first thing in the way; None where the request is allowed."""

    @property
    def allowed(self) -> bool:
        """Whether the token allows the request now."""
        return self.denial is None

    @property
    def cut_by(self) -> Caveat | None:
        """The caveat because of which nothing grants the request, if it was a caveat."""
        for step in self.steps:
            if step.denial is not None:
                kinds = ("permissions", "only_untainted")
                cuts = [caveat for caveat in step.caveats if caveat.member in kinds]
                return cuts[0] if cuts else None
        return None

    def as_json(self) -> dict[str, Json]:
        """Return the explanation as JSON."""
        return {
            "request": self.request,
            "allowed": self.allowed,
            "steps": [step.as_json() for step in self.steps],
            "denial": denial_as_json(self.denial),
        }


def denial_as_json(denial: Denial | None) -> Json:
    """Return a denial as JSON, or null."""
    if denial is None:
        return None
    return {
        "code": denial.code,
        "rule": denial.rule,
        "needed": denial.needed,
        "hop": denial.hop,
    }
