"""The law of the family, for anybody to run against any format of root tokens.

    Whatever a child token allows, every ancestor allows, at every instant.

Chains are made as an attacker inside would make them: hops are signed rightly and say anything,
mostly something that narrows, often something that does not. Then time moves on, and whenever the
last token of a chain allows a request, so must every token before it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import (
    NO_IMPLICATIONS,
    ActionHierarchy,
    Caveat,
    Claims,
    ExpiresAt,
    MaxBudget,
    MaxDepth,
    MaxRate,
    NotBefore,
    OnlyAudience,
    OnlyDuring,
    OnlyPermissions,
    OnlyUntainted,
    Request,
    TimeWindow,
    TokenRefusedError,
)
from toka.capability.delegation._chain import ChainText
from toka.capability.delegation._link import Link
from toka.capability.delegation._validator import DelegatedValidator
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.capability.core import RootValidator, TokenIssuer
    from toka.types import Clock

__all__ = ["AUDIENCE", "Counterexample", "LawReport", "check_law"]

AUDIENCE: Final = "here"
"""The audience for which `check_law` wants its root validator."""
LIFE_SECONDS: Final = 43_200

_START: Final = 1_771_000_000
_PERMISSIONS: Final = (
    ("fs:read:/**", "fs:write:/**", "proc:run:*", "net:get:https://**"),
    ("fs:read:/data/**", "fs:write:/data/**", "proc:run:git*", "net:get:https://*.example.org/**"),
    (
        "fs:read:/data/*/x",
        "fs:write:/data/a/**",
        "proc:run:git",
        "net:get:https://a.example.org/**",
    ),
    ("fs:read:/data/a/x", "fs:write:/data/a/x", "net:get:https://a.example.org/x"),
)
_REQUESTS: Final = (
    "fs:read:/data/a/x",
    "fs:read:/data/b/x",
    "fs:read:/data/b",
    "fs:write:/data/a/x",
    "fs:write:/etc/x",
    "proc:run:git",
    "proc:run:sh",
    "net:get:https://a.example.org/x",
    "net:get:https://example.com/",
)
_PARSED: Final = {text: Request.parse(text) for text in _REQUESTS}
_ZONES: Final = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
_HOURS: Final = (("00:00", "23:59"), ("06:00", "22:00"), ("08:00", "20:00"), ("09:30", "17:00"))
_NIGHTS: Final = (("17:00", "09:00"), ("19:00", "08:00"), ("22:00", "06:00"), ("01:00", "05:00"))
_DAYS: Final = ((1, 2, 3, 4, 5, 6, 7), (1, 2, 3, 4, 5), (5, 6, 7), (6,))


@attrs.frozen
class Counterexample:
    """A child that allows what an ancestor does not."""

    child: Claims
    ancestor: Claims | None
    """None where the ancestor is not valid at all."""
    instant: int
    wish: str


@attrs.frozen
class LawReport:
    """What a run has seen. It proves something only if many children were accepted."""

    chains: int
    accepted: int
    """Chains whose last token was valid at the instant."""
    allowed: int
    """Requests, spendings and further hops that a last token allowed."""
    counterexample: Counterexample | None


class _LawClock:
    """A clock that only the law moves, and only forwards."""

    def __init__(self) -> None:
        self.seconds = _START

    def now(self) -> int:
        return self.seconds * NANOSECONDS

    def monotonic(self) -> int:
        return self.seconds * NANOSECONDS

    async def sleep(self, nanoseconds: int) -> None:
        self.seconds += nanoseconds // NANOSECONDS


def check_law(
    make: Callable[[Clock], tuple[TokenIssuer, RootValidator]],
    *,
    chains: int,
    seed: int,
    hierarchy: ActionHierarchy = NO_IMPLICATIONS,
) -> LawReport:
    """Hold random chains against the law, up to the first counterexample.

    Args:
        make: Makes an issuer and a validator of root tokens on a clock, with the audience
            `AUDIENCE`.
        chains: How many chains to try.
        seed: Where the random numbers start; the same seed is the same run.
        hierarchy: Which actions imply which.
    """
    clock = _LawClock()
    issuer, root = make(clock)
    validator = DelegatedValidator(root, hierarchy=hierarchy)
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated, not a secret
    accepted = allowed = 0
    for number in range(chains):
        tokens = _chain(issuer, clock.seconds, chance, number)
        clock.seconds += chance.randrange(chance.choice((240, LIFE_SECONDS // 4, LIFE_SECONDS)))
        claims = _valid(validator, tokens[-1])
        if claims is None:
            continue
        accepted += 1
        wishes = _wishes(claims)
        allowed += len(wishes)
        for token in tokens[:-1]:
            ancestor = _valid(validator, token)
            missing = wishes - _wishes(ancestor) if ancestor else wishes
            if missing or ancestor is None or not _pays_with(claims, ancestor):
                wish = min(missing, default="to pay from fewer accounts")
                found = Counterexample(claims, ancestor, clock.seconds, wish)
                return LawReport(number + 1, accepted, allowed, found)
    return LawReport(chains, accepted, allowed, None)


def _valid(validator: DelegatedValidator, token: str) -> Claims | None:
    try:
        return validator.validate(token)
    except TokenRefusedError:
        return None


def _wishes(claims: Claims) -> set[str]:
    """Return everything among the known wishes that valid claims allow."""
    wishes = {text for text, wish in _PARSED.items() if claims.granted.covers(wish)}
    wishes |= {f"{wish} though tainted" for wish in wishes}
    wishes |= {text for text, wish in _PARSED.items() if claims.guarded.covers(wish)}
    for amount in (1, 10, 100):
        limit = claims.budget_for("calls")
        wishes |= {f"spend {amount}"} if limit is None or amount <= limit else set()
    for hops in range(1, 5):
        wishes |= {f"hand on {hops}"} if claims.depth is None or hops <= claims.depth else set()
    return wishes


def _pays_with(child: Claims, ancestor: Claims) -> bool:
    """Say whether what the child does counts against every account of its ancestor."""
    return child.accounts[: len(ancestor.accounts)] == ancestor.accounts


def _chain(issuer: TokenIssuer, now: int, chance: random.Random, number: int) -> list[str]:
    claims = Claims(
        "p0",
        "law",
        _PERMISSIONS[0],
        now,
        now + LIFE_SECONDS,
        f"t{number}",
        audience=(AUDIENCE, "there"),
        budget=(("calls", 100),),
        windows=_windows(chance, 0) if chance.random() < 0.3 else (),  # noqa: PLR2004 - a share
    )
    tokens = [issuer.issue(claims)]
    for level in range(1, chance.randrange(2, 5)):
        hop = Link(f"p{level - 1}", f"p{level}", "n", _caveats(chance, level, now)).encode()
        tokens.append(ChainText.parse(tokens[-1]).followed_by(hop))
    return tokens


def _caveats(chance: random.Random, level: int, now: int) -> tuple[Caveat, ...]:
    # One in eight forgets how deep it is, and may ask for more than its parent has.
    depth = level if chance.randrange(8) else chance.randrange(4)
    caveats = [make(chance, depth, now) for make in chance.sample(_MAKERS, chance.randrange(4))]
    return tuple(caveats)


def _only_permissions(chance: random.Random, level: int, _: int) -> Caveat:
    pool = _PERMISSIONS[min(level, len(_PERMISSIONS) - 1)]
    chosen = chance.sample(pool, chance.randrange(1, len(pool) + 1))
    kept = chance.randrange(len(chosen) + 1)
    return OnlyPermissions(tuple(chosen[:kept]), tuple(chosen[kept:]))


def _windows(chance: random.Random, level: int) -> tuple[TimeWindow, ...]:
    hours = chance.choice((_HOURS, _NIGHTS))
    zone = chance.choice(_ZONES)
    start, end = hours[min(level, len(hours) - 1)]
    return (TimeWindow(start, end, zone, chance.choice(_DAYS[: level + 1])),)


_MAKERS: Final[tuple[Callable[[random.Random, int, int], Caveat], ...]] = (
    _only_permissions,
    lambda chance, level, _now: OnlyDuring(_windows(chance, level)),
    lambda chance, level, now: ExpiresAt(
        now + LIFE_SECONDS - 3_600 * level + chance.choice((-1, 0, 0, 1, 7_200))
    ),
    lambda chance, level, now: NotBefore(now + 60 * level + chance.choice((-120, -1, 0, 1))),
    lambda _chance, level, _now: MaxBudget((("calls", 120 - 30 * level),)),
    lambda chance, level, _now: MaxDepth(max(0, 5 - level - chance.randrange(3))),
    lambda chance, _level, _now: OnlyAudience(
        chance.choice(((AUDIENCE,), (AUDIENCE, "there"), ("there",)))
    ),
    lambda chance, _level, _now: MaxRate(chance.randrange(1, 9), 60),
    lambda _chance, _level, _now: OnlyUntainted(),
)
