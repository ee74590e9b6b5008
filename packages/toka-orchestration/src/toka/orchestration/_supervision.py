"""Restarts, and when to stop trying: the intensity limit of Erlang's supervisors.

An agent that ends is started again as its policy says, but not more than `max_restarts` times
within a window; what fails that fast will fail again, and its failure belongs to whoever asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.types import RestartPolicy


def begins_again(
    policy: RestartPolicy, earlier: Iterable[int], *, failed: bool, ended: int
) -> bool:
    """Return whether an agent is started again.

    Pure, and all arguments are in the log: a crash between an end and the restart changes nothing.

    Args:
        policy: When to restart and how often.
        earlier: Times of the restarts before, in nanoseconds.
        failed: How the agent ended.
        ended: When it ended, in nanoseconds.
    """
    if policy.when == "never" or (policy.when == "on_failure" and not failed):
        return False
    recent = [restart for restart in earlier if restart > ended - policy.within]
    return len(recent) < policy.max_restarts
