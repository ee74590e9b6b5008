"""Running a profile, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core.simulation._profile import Profile
from raft_core.simulation._simulation import Simulation
from raft_core.simulation._violation import Invariant, InvariantViolationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raft_core.simulation._coverage import Coverage


@attrs.frozen(kw_only=True)
class Violation:
    """What a run found."""

    invariant: Invariant
    reason: str


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a run."""

    profile: Profile
    violation: Violation | None
    trace_hash: str
    """The same for the same profile, wherever and whenever it runs."""
    steps: int
    """How many times a host was checked."""
    operations: int
    """What clients asked for and were answered."""
    coverage: Coverage = attrs.field(eq=False, repr=False)


def run_profile(profile: Profile, narrate: Callable[[str], None] | None = None) -> Outcome:
    """Run a profile to its end, or to the first broken promise."""
    simulation = Simulation(profile, narrate)
    violation = None
    try:
        simulation.run()
    except InvariantViolationError as error:
        violation = Violation(invariant=error.invariant, reason=error.reason)
    except Exception as error:  # noqa: BLE001 - whatever the core raises is what a run looks for
        violation = Violation(invariant=Invariant.NO_ERROR, reason=repr(error))
    return Outcome(
        profile=profile,
        violation=violation,
        trace_hash=simulation.trace_hash(),
        steps=simulation.steps,
        operations=sum(client.answered for client in simulation.clients),
        coverage=simulation.coverage,
    )


def run_seed(seed: int, given: Mapping[str, int] | None = None) -> Outcome:
    """Run what a seed stands for, with some fields of its profile given.

    Raises:
        ConfigError: A given field does not exist or cannot have that value.

    """
    return run_profile(Profile.draw(seed, given))
