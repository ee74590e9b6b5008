"""A guest that says whether something may be done.

The module exports `judge`, a function without parameters: it reads the question as JSON and writes
`{"allow": true}`, or `{"allow": false, "reason": "..."}`. Whatever else it does is a no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from toka.cvm._errors import CvmError

if TYPE_CHECKING:
    from toka.cvm._pure_guest import PureGuest
    from toka.types import JsonObject

_LONGEST_REASON: Final = 500


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    allow: bool
    reason: str = ""


@attrs.frozen
class Verdict:
    """What a policy says."""

    allowed: bool
    reason: str = ""
    """Why not, as a clause a person can read; from the guest, so not to be trusted."""
    code: str = ""
    """Why not, for programs: `policy.refused`, or how the guest ended."""
    fuel_used: int = 0


class GuestPolicy:
    """A policy in a guest: the same question gets the same verdict.

    Args:
        guest: Exports `judge`.

    Raises:
        CvmError: It does not.
    """

    def __init__(self, guest: PureGuest) -> None:
        if "judge" not in guest.exports:
            raise CvmError("The guest exports no function judge.", code="cvm.no_policy")
        self._guest = guest

    @property
    def digest(self) -> str:
        """BLAKE2b of the module, for the record of a verdict."""
        return self._guest.digest

    def judge(self, question: JsonObject, /) -> Verdict:
        """Ask. A guest that traps, runs out of fuel or says no JSON has said no."""
        try:
            answer = self._guest.ask("judge", msgspec.json.encode(question, order="sorted"))
        except CvmError as error:
            return Verdict(False, error.message, error.code)
        try:
            said = msgspec.json.decode(answer.output, type=_Said)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return Verdict(
                False, "The policy gave no verdict.", "policy.no_verdict", answer.fuel_used
            )
        if said.allow:
            return Verdict(True, fuel_used=answer.fuel_used)
        text = "".join([one for one in said.reason if one.isprintable()])[:_LONGEST_REASON]
        return Verdict(False, text or "The policy refused.", "policy.refused", answer.fuel_used)
