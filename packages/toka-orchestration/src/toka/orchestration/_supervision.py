"""Restarts, and when to stop trying: the intensity limit of Erlang's supervisors.

An agent that ends is started again as its policy says, but not more than `max_restarts` times
within a window; what fails that fast will fail again, and its failure belongs to whoever asked.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toka.types import RestartPolicy


class Supervisor:
    """Decides for one agent whether it is started again. Pure: the time is an argument."""

    def __init__(self, policy: RestartPolicy, earlier: tuple[int, ...] = ()) -> None:
        """Take up a policy.

        Args:
            policy: When to restart and how often.
            earlier: Times of restarts that the log already has, in nanoseconds, oldest first.
        """
        self._policy = policy
        self._restarts: deque[int] = deque(earlier)

    def restarts_after(self, *, failed: bool, now: int) -> bool:
        """Say whether to restart an agent that ended now, and count it if so."""
        when = self._policy.when
        if when == "never" or (when == "on_failure" and not failed):
            return False
        while self._restarts and self._restarts[0] <= now - self._policy.within:
            self._restarts.popleft()
        if len(self._restarts) >= self._policy.max_restarts:
            return False
        self._restarts.append(now)
        return True
