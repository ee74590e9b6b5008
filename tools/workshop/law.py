"""The law of delegation on as many chains as wanted, on all cores.

    tools/law                     a million chains from a fresh seed
    tools/law --chains 20000 --seed 7

*Whatever a child token allows, every ancestor allows, at every instant.* A counterexample is
printed with the seed that finds it again; then the exit status is 1.
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
    from toka.types import Clock

CHAINS = 1_000_000
SHARE = 20_000
"""Chains of one seed: few enough that a counterexample is found again in seconds."""


def main(arguments: Sequence[str]) -> int:
    """Run; the exit status is 0, or 1 if the law is broken."""
    parser = argparse.ArgumentParser("tools/law", description="Hold random chains to the law.")
    parser.add_argument("--chains", type=int, default=CHAINS)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    options = parser.parse_args(arguments)
    settle(arguments)
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
