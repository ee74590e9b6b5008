"""What the kernel answers when it refuses: a value, never an exception to callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.types import Json

_NO_DETAILS: Final[Mapping[str, Json]] = {}


@attrs.frozen
class Rejection:
    """Says why an operation was refused; nothing has changed."""

    code: str
    """Stable dotted name, for example `kernel.stale_fence`."""
    message: str
    """A sentence that a person can act on."""
    needed: str = ""
    """The permission that would have been needed, if that was missing."""
    details: Mapping[str, Json] = _NO_DETAILS
    """The facts, for programs."""


class Refusal(Exception):
    """Carries a rejection from the check that made it to `Kernel.decide`, and no further."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.code)
        self.rejection = rejection


def refuse(
    code: str, message: str, *, needed: str = "", details: Mapping[str, Json] = _NO_DETAILS
) -> Refusal:
    """Return what to raise; `code` is given without its `kernel.`."""
    return Refusal(Rejection(f"kernel.{code}", message, needed, details))
