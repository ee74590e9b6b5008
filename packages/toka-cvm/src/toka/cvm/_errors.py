"""Errors of toka.cvm.

    TokaError
    └── CvmError                      what this package says
        ├── InvalidModuleError        the bytes are no module, or use what is switched off
        │   └── ModuleTooLargeError   a count or a size in them is over its limit
        ├── CompileBudgetError        compiling took longer, or more memory, than it may
        ├── CacheError                the folder of compiled modules is not private
        ├── ImportRefusedError        an import is not granted, or there is no such host function
        ├── GuestCallError            the caller's fault: no such export, wrong arguments
        ├── GuestBusyError            a guest was entered while it runs, maybe by its own host call
        ├── GuestRuleError            a guest that is a kernel's rule could not apply a fact
        └── GuestEndedError           the guest is over; it cannot be called again
            ├── GuestTrapError        it did what WebAssembly forbids: `trap` names it
            ├── OutOfFuelError        it used the fuel of the call
            ├── DeadlineError         it, or a host call of its, ran longer than the call may
            ├── CancelledError        the call was given up from outside
            ├── QuotaError            it wrote, called or held more than it may
            ├── AuthorityLostError    its capability expired or was revoked while it ran
            ├── GuestExitError        it ended itself with `proc_exit`
            └── HostFaultError        a service of the host failed; `__cause__` is how

What a guest does never surfaces as any other class: a caller's `except` cannot be chosen by a
guest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.types import Json, TokaError

if TYPE_CHECKING:
    from collections.abc import Sequence


class CvmError(TokaError):
    """The base of what this package raises."""

    default_code = "cvm.error"


class InvalidModuleError(CvmError, ValueError):
    """The bytes are no module of the features that are switched on."""

    default_code = "cvm.invalid_module"


class ModuleTooLargeError(InvalidModuleError):
    """A size or a count in a module is over its limit; nothing was compiled."""

    default_code = "cvm.module_too_large"


class CompileBudgetError(CvmError):
    """Compiling was stopped: it used its time or its memory."""

    default_code = "cvm.compile_budget"


class CacheError(CvmError, OSError):
    """The folder of compiled modules belongs to somebody else, or others may write there."""

    default_code = "cvm.cache_not_private"


@attrs.frozen
class RefusedImport:
    """One import that was not linked."""

    module: str
    name: str
    needs: str
    """A permission that would grant it, or empty where none would."""
    why: str
    """A clause a person can read."""


class ImportRefusedError(CvmError):
    """A module asks for what is not granted, or not there. Nothing of it ran."""

    default_code = "cvm.import_refused"

    @classmethod
    def of(cls, refused: Sequence[RefusedImport]) -> ImportRefusedError:
        """Make the error that names every refused import and the grant it lacks."""
        names = "; ".join([f"{one.module}.{one.name} {one.why}" for one in refused[:8]])
        more = f"; and {len(refused) - 8} more" if len(refused) > 8 else ""  # noqa: PLR2004
        grants = sorted({one.needs for one in refused if one.needs})
        details: dict[str, Json] = {
            "imports": [f"{one.module}.{one.name}" for one in refused],
            "missing": list[Json](grants),
        }
        hint = f"Grant {', '.join(grants)}." if grants else "Build the guest without it."
        return cls(f"The guest's imports are refused: {names}{more}.", hint=hint, details=details)


class GuestCallError(CvmError, ValueError):
    """The caller asked for an export that is not there, or gave arguments that do not fit."""

    default_code = "cvm.bad_call"


class GuestBusyError(CvmError, RuntimeError):
    """A guest runs already: on another thread, or it is its own host call that comes back."""

    default_code = "cvm.busy"


class GuestEndedError(CvmError):
    """The guest is over. Its memory may be half changed, so it cannot be called again."""

    default_code = "cvm.ended"


class GuestTrapError(GuestEndedError):
    """The guest trapped. `trap` names the reason; the text of it is the machine's, not its own."""

    default_code = "cvm.trap"

    @classmethod
    def of(
        cls, trap: str, function: int | None = None, offset: int | None = None
    ) -> GuestTrapError:
        """Make the error for a trap, at a function's index and an offset into the module."""
        where = "" if function is None else f" in function {function} at byte {offset}"
        details: dict[str, Json] = {"trap": trap, "function": function, "offset": offset}
        return cls(f"The guest trapped{where}: {trap.replace('_', ' ')}.", details=details)

    @property
    def trap(self) -> str:
        """The reason, for example `unreachable`, `stack_overflow` or `bad_pointer`."""
        return str(self.details.get("trap", "unknown"))


class OutOfFuelError(GuestEndedError):
    """The guest used all the fuel of the call."""

    default_code = "cvm.out_of_fuel"


class DeadlineError(GuestEndedError):
    """The call took longer than it may; what it waited for was given up."""

    default_code = "cvm.deadline"


class CancelledError(GuestEndedError):
    """The call was given up from outside, by `Guest.cancel` or a cancelled task."""

    default_code = "cvm.cancelled"


class QuotaError(GuestEndedError):
    """The guest wrote, called or held more than it may."""

    default_code = "cvm.quota"


class AuthorityLostError(GuestEndedError):
    """The capability behind the guest expired or was revoked; the host call did not happen."""

    default_code = "cvm.authority_lost"


class GuestExitError(GuestEndedError):
    """The guest ended itself with `proc_exit`; `Guest.run` makes an `Outcome` of it."""

    default_code = "cvm.exit"

    @property
    def status(self) -> int:
        """What the guest gave `proc_exit`."""
        status = self.details.get("status")
        return status if isinstance(status, int) else 1


class HostFaultError(GuestEndedError):
    """A service behind a host call raised. The guest saw nothing of it."""

    default_code = "cvm.host_fault"


class GuestRuleError(CvmError):
    """A guest that is part of a kernel's rules broke their form, or could not apply a fact."""

    default_code = "cvm.rule_failed"
