"""The laws of the security family at a size that tests do not have.

    tools/law                     delegation: a million chains from a fresh seed, on all cores
    tools/law --chains 20000 --seed 7
    tools/law --limiter           ten million hits without drift, a million keys without a leak

*Whatever a child token allows, every ancestor allows, at every instant.* A counterexample is
printed with the seed that finds it again; then the exit status is 1.

*A limit of 3 a second lets 3 a second by, however long; and a flood of keys fills no memory and
gives nobody quota.* Tests hold the same with fewer hits.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import uv
from workshop.shell import ROOT, Failure, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.capability.core import RootValidator, TokenIssuer
    from toka.capability.delegation.testing import LawReport
    from toka.rate_limiter import Algorithm
    from toka.types import Clock

CHAINS = 1_000_000
HITS = 10_000_000
FLOOD = 1_000_000
ROOM = 100_000
SHARE = 20_000
"""Chains of one seed: few enough that a counterexample is found again in seconds."""


def main(arguments: Sequence[str]) -> int:
    """Run; the exit status is 0, or 1 if the law is broken."""
    parser = argparse.ArgumentParser("tools/law", description="Hold random chains to the law.")
    parser.add_argument("--chains", type=int, default=CHAINS)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--limiter", action="store_true", help="the laws of the limiter instead")
    options = parser.parse_args(arguments)
    settle(arguments)
    return limiter() if options.limiter else delegation(options)


def delegation(options: argparse.Namespace) -> int:
    """Hold random chains to the law, on all cores."""
    seeds = range(options.seed, options.seed - (-options.chains // SHARE))
    say(f"law: {len(seeds)} runs of {SHARE:,} chains, seeds {seeds[0]} to {seeds[-1]}")
    chains = accepted = allowed = 0
    with ProcessPoolExecutor() as processes:
        for seed, report in zip(seeds, processes.map(partial(hold, SHARE), seeds), strict=True):
            if report.counterexample is not None:
                print(f"seed {seed}, chain {report.chains}: {report.counterexample}")
                return 1
            chains += report.chains
            accepted += report.accepted
            allowed += report.allowed
    print(f"{chains:,} chains, {accepted:,} accepted, {allowed:,} wishes allowed: the law holds")
    return 0


def limiter() -> int:
    """Hold the limiter to its laws."""
    from toka.rate_limiter import Algorithm  # noqa: PLC0415 - after `settle`

    for algorithm in (Algorithm.GCRA, Algorithm.TOKEN_BUCKET):
        say(f"law: {HITS:,} hits under {algorithm.value}")
        off = drift(algorithm, HITS)
        if abs(off) > 1:
            print(f"{algorithm.value}: {off} more than 3 a second after {HITS:,} hits")
            return 1
    say(f"law: {FLOOD:,} keys in room for {ROOM:,}")
    admitted, kept = flood(FLOOD, ROOM)
    if (admitted, kept) != (ROOM, ROOM):
        print(f"{admitted:,} of {FLOOD:,} keys were admitted and {kept:,} kept, not {ROOM:,}")
        return 1
    print("no drift, no leak, no quota for nothing: the laws hold")
    return 0


class HandClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.time = 10**12

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time

    async def sleep(self, nanoseconds: int) -> None:
        self.time += nanoseconds


def drift(algorithm: Algorithm, hits: int) -> int:
    """Return how many more than 3 a second, and the burst, are admitted when each comes at once.

    With a burst of one there is no credit for a hit that comes late, and on a clock of microseconds
    each comes up to one late: 20 in ten million. With two, nothing may be lost.
    """
    from toka.rate_limiter import SECOND, Limit, Limiter, MemoryStorage  # noqa: PLC0415
    from toka.types import NANOSECONDS  # noqa: PLC0415 - see above

    clock, facts, admitted = HandClock(), {"key": "a"}, 0
    limit = Limit("x", 3, SECOND, algorithm=algorithm, burst=2)
    limiter, start = Limiter([limit], MemoryStorage(clock)), clock.time
    while admitted < hits:
        decision = limiter.hit(facts)
        if decision.admitted:
            admitted += 1
        else:
            clock.time += 1_000 * (decision.retry_after or 0)
    return admitted - 1 - (clock.time - start) * 3 // NANOSECONDS


def flood(keys: int, room: int) -> tuple[int, int]:
    """Return how many of so many strangers are admitted once an hour, and how many are kept."""
    from toka.rate_limiter import HOUR, Limit, Limiter, MemoryStorage  # noqa: PLC0415

    storage = MemoryStorage(HandClock(), max_keys=room)
    limiter = Limiter([Limit("x", 1, HOUR)], storage)
    names = (secrets.token_hex(8) for _ in range(keys))
    admitted = sum(limiter.hit({"key": name}).admitted for name in names)
    return admitted, len(storage)


def settle(arguments: Sequence[str]) -> None:
    """Become a process of the project's environment.

    Raises:
        Failure: the project is not set up.
    """
    if Path(sys.prefix) == uv.VENV:
        return
    python = uv.VENV / "bin" / "python"
    if not python.exists():
        raise Failure("the project is not set up; run tools/dev set-up")
    os.execv(python, [str(python), str(ROOT / "tools" / "law"), *arguments])  # noqa: S606


def hold(chains: int, seed: int) -> LawReport:
    """Run the law once."""
    from toka.capability.delegation.testing import check_law  # noqa: PLC0415 - after `settle`

    return check_law(make, chains=chains, seed=seed)


def make(clock: Clock) -> tuple[TokenIssuer, RootValidator]:
    """Return an issuer and a validator of HS256 tokens."""
    from toka.capability.delegation.testing import AUDIENCE  # noqa: PLC0415 - see above
    from toka.capability.jwt_hs256 import (  # noqa: PLC0415 - see above
        Hs256Key,
        JwtHs256Issuer,
        JwtHs256Validator,
    )

    key = Hs256Key.generate()
    return JwtHs256Issuer(key, clock), JwtHs256Validator([key], clock, audience=AUDIENCE)
