"""How often keys rotate, and how long the old ones still verify."""

from __future__ import annotations

import attrs

from toka.key_rotation._errors import InvalidPolicyError
from toka.key_rotation._key import KeyAlgorithm
from toka.types import MAX_TOKEN_LIFETIME_SECONDS


@attrs.frozen(kw_only=True)
class RotationPolicy:
    """Times in seconds.

    Raises:
        InvalidPolicyError: Tokens that are still valid would lose their key, or the next key would
            sign before everybody knows it.
    """

    algorithm: KeyAlgorithm = KeyAlgorithm.HS256
    interval: int = 86_400
    """How long a key signs."""
    longest_token: int = MAX_TOKEN_LIFETIME_SECONDS
    """The longest life of anything that a key of this ring signs."""
    skew: int = 60
    """How far the clocks of signers and verifiers may differ."""
    cache: int = 300
    """How long a verifier may use the keys that it read before."""
    grace: int = MAX_TOKEN_LIFETIME_SECONDS + 360
    """How long a key still verifies after it signed last."""
    jitter: int = 0
    """Up to so much later a node looks after the ring, so that not all do it at once."""

    def __attrs_post_init__(self) -> None:
        for name in ("interval", "longest_token", "skew", "cache", "grace", "jitter"):
            value: object = getattr(self, name)
            least = 0 if name in {"skew", "cache", "jitter"} else 1
            if type(value) is not int or value < least:
                raise InvalidPolicyError(f"{name} is no whole number of seconds from {least}.")
        needed = self.longest_token + self.skew + self.cache
        if self.grace < needed:
            raise InvalidPolicyError(
                f"A grace of {self.grace} seconds would refuse tokens that are still valid.",
                hint=f"It is at least longest_token + skew + cache, which is {needed}.",
            )
        if self.interval <= self.publication:
            raise InvalidPolicyError(
                f"An interval of {self.interval} seconds leaves no time to publish the next key.",
                hint=f"It is more than cache + skew, which is {self.publication}.",
            )

    @property
    def publication(self) -> int:
        """How long the next key is known to all before it signs."""
        return self.cache + self.skew
