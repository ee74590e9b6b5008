"""How often a step or a task is tried again, and after how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.types import NANOSECONDS, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.types import RetryDefinition


@attrs.frozen
class RetryPolicy:
    """Exponential backoff with full jitter.

    The wait before attempt `n` is drawn evenly from nothing to `initial * factor**(n-2)`, at most
    `longest`: the whole range, because callers that failed together shall not return together
    (Brooker, "Exponential backoff and jitter", 2015).

    Raises:
        InvalidValueError: A number is out of its range.

    """

    attempts: int = 1
    """In all, the first one included."""
    initial: int = NANOSECONDS
    """Nanoseconds."""
    factor: float = 2.0
    longest: int = 60 * NANOSECONDS
    """Nanoseconds."""
    retry_on: tuple[str, ...] = ()
    """Codes of failures worth another attempt, where `tools.*` stands for all that begin so.

    Empty stands for every failure that does not say of itself that a repetition is useless.
    """

    def __attrs_post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidValueError(f"attempts is {self.attempts}; it must be at least 1.")
        if self.initial < 0 or self.longest < self.initial:
            raise InvalidValueError("A backoff starts at 0 or more and does not exceed its limit.")
        if not 1.0 <= self.factor <= 10.0:  # noqa: PLR2004 - beyond that it is no backoff
            raise InvalidValueError(f"factor is {self.factor}; it must be from 1 to 10.")

    @classmethod
    def of(cls, definition: RetryDefinition) -> RetryPolicy:
        """Return the policy that a specification defines.

        Raises:
            InvalidValueError: A number is out of its range.

        """
        return cls(
            definition.attempts,
            definition.initial,
            definition.factor,
            definition.longest,
            definition.retry_on,
        )

    def is_worth_it(self, code: str, *, attempt: int, is_final: bool = False) -> bool:
        """Return whether a failure of attempt number `attempt` leads to another one.

        Args:
            code: Of the failure.
            attempt: From 1.
            is_final: The failure says of itself that the same would fail again.

        """
        if attempt >= self.attempts:
            return False
        if not self.retry_on:
            return not is_final
        return any(_matches(pattern, code) for pattern in self.retry_on)

    def wait(self, attempt: int, random: Callable[[], float]) -> int:
        """Return the nanoseconds to wait after attempt number `attempt` failed.

        Args:
            attempt: From 1.
            random: Draws evenly from 0 (included) to 1 (excluded).

        """
        # The exponent is bounded so that a long-lived task does not overflow a float.
        longest = min(float(self.longest), self.initial * self.factor ** min(attempt - 1, 300))
        return int(longest * random())


NO_RETRY = RetryPolicy()


def _matches(pattern: str, code: str) -> bool:
    return code.startswith(pattern[:-1]) if pattern.endswith("*") else code == pattern
