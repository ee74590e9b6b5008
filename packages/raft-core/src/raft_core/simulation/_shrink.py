"""Making a failing run smaller: fewer steps, fewer faults, fewer hosts, and it still fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core._errors import ConfigError
from raft_core.simulation._outcome import run_profile
from raft_core.simulation._profile import LEAST, Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raft_core.simulation._outcome import Outcome


def shrink(outcome: Outcome, *, attempts: int = 300) -> Outcome:
    """Return a smaller run that breaks the same promise, if one is found in so many attempts."""
    if outcome.violation is None:
        return outcome
    invariant = outcome.violation.invariant
    smallest, smaller = outcome, True
    while smaller:
        smaller = False
        for profile in _smaller(smallest.profile):
            if attempts == 0:
                return smallest
            attempts -= 1
            candidate = run_profile(profile)
            if candidate.violation is not None and candidate.violation.invariant is invariant:
                smallest, smaller = candidate, True
                break
    return smallest


def _smaller(profile: Profile) -> Iterator[Profile]:
    """Yield profiles with less of something, the most promising first."""
    for share in (2, 4, 8, 16):
        yield from _with(profile, "steps", profile.steps - profile.steps // share)
    if profile.nodes > 1:
        yield from _with(profile, "nodes", profile.nodes - 1)
    for name, least in LEAST.items():
        if getattr(profile, name) > least:
            yield from _with(profile, name, least)


def _with(profile: Profile, name: str, value: int) -> Iterator[Profile]:
    if value == getattr(profile, name):
        return
    try:
        changed = attrs.evolve(profile, **{name: value})
    except ConfigError:
        return  # that would be no run
    if not (changed.leases and (changed.stops or changed.drift > 1 or not changed.check_quorum)):
        yield changed


def difference(profile: Profile) -> dict[str, int]:
    """Return in which fields a profile differs from what its seed draws."""
    drawn = attrs.asdict(Profile.draw(profile.seed))
    return {name: value for name, value in attrs.asdict(profile).items() if drawn[name] != value}
