"""Errors of toka.capability.core.

    TokaError
    └── CapabilityError               a rule of capabilities was broken
        ├── PermissionSyntaxError     a text is not a permission or a request
        ├── HierarchyError            an implication between actions cannot be added
        ├── InvalidWindowError        a text is not a time window, or its zone is unknown
        └── TokenRefusedError         a token, or what it says, is not accepted: carries a `Denial`
            └── InvalidClaimsError    claims break a limit, at minting or at checking

Every issuer and validator of the family raises these, so that a caller needs one `except`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.capability.core._denial import Denial
from toka.types import TokaError

if TYPE_CHECKING:
    from typing import Self


class CapabilityError(TokaError):
    """A rule of capabilities was broken; the base of this family's errors."""

    default_code = "capability.error"


class PermissionSyntaxError(CapabilityError, ValueError):
    """A text is not in the grammar of permissions; nothing was corrected or guessed."""

    default_code = "capability.bad_permission"


class HierarchyError(CapabilityError, ValueError):
    """An implication between actions would make a cycle, or does not name two actions."""

    default_code = "capability.bad_hierarchy"


class InvalidWindowError(CapabilityError, ValueError):
    """A text is not a time window, or names a zone that is not known here."""

    default_code = "capability.bad_window"


class TokenRefusedError(CapabilityError):
    """A token is not accepted.

    For the audit, never for whoever presented the token: a caller outside sees `PUBLIC_DENIAL`.
    """

    default_code = "capability.token_refused"

    @classmethod
    def of(cls, denial: Denial) -> Self:
        """Make the error that carries `denial`."""
        details = {"hop": denial.hop, "rule": denial.rule, "needed": denial.needed}
        # A rule may end with what another error said, which is a sentence.
        rule = denial.rule.removesuffix(".")
        return cls(f"The token is refused: {rule}.", code=denial.code, details=details)

    @property
    def denial(self) -> Denial:
        """Who refused, and why."""
        # Kept in `details`, which TokaError carries through pickling, instead of a second field.
        hop = self.details.get("hop")
        return Denial(
            code=self.code,
            hop=hop if isinstance(hop, int) else None,
            rule=str(self.details.get("rule", self.message)),
            needed=str(self.details.get("needed", "")),
        )


class InvalidClaimsError(TokenRefusedError, ValueError):
    """Claims break a limit or a rule of time."""

    default_code = "capability.bad_claims"
