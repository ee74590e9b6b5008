"""The one value for every "no" in the family of capability packages."""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen
class Denial:
    """Say what refused and what would have been needed: for the audit log, not for the caller."""

    code: str
    """Stable dotted name, for example `capability.expired`."""
    rule: str = ""
    """The rule that refused, as a clause a person can read. Never holds a token or a secret."""
    needed: str = ""
    """What would have been accepted, for example a permission; empty where nothing would."""
    hop: int | None = None
    """The hop of a delegated token that refused, 0 for the root; None where no hop did."""


PUBLIC_DENIAL: Final = Denial(code="capability.denied")
"""What a caller outside sees, whatever the reason: telling reasons apart helps whoever probes."""
