"""The soak run of the stores: the crash checklist, many more rounds of it than CI has time for."""

from __future__ import annotations

import argparse
import os
import subprocess
from typing import TYPE_CHECKING

from workshop import uv
from workshop.shell import ROOT, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

_TESTS = "packages/toka-store-{}/tests/test_crash.py"


def main(arguments: Sequence[str]) -> int:
    """Run the tests; the exit status is pytest's."""
    stores = sorted(
        path.parent.parent.name.removeprefix("toka-store-")
        for path in ROOT.glob(_TESTS.format("*"))
    )
    parser = argparse.ArgumentParser("tools/crash", description=__doc__)
    parser.add_argument("stores", nargs="*", metavar="STORE", help=f"of {', '.join(stores)}")
    parser.add_argument("--rounds", type=int, default=5_000, help="of each item")
    parser.add_argument("--seed", type=int, default=0, help="another one records other runs")
    parser.add_argument("-k", dest="wanted", default="", help="only tests so named, as c01")
    options = parser.parse_args(arguments)
    unknown = set(options.stores) - set(stores)
    if unknown:
        raise Failure(f"no crash tests of {min(unknown)!r}; there are {', '.join(stores)}")
    pytest = uv.VENV / "bin" / "pytest"
    if not pytest.exists():
        raise Failure("the project is not set up; run tools/dev set-up")
    command = [str(pytest), "-q", "--durations=30", "-k", options.wanted]
    command += [str(ROOT / _TESTS.format(store)) for store in options.stores or stores]
    settings = {"TOKA_CRASH_ROUNDS": str(options.rounds), "TOKA_CRASH_SEED": str(options.seed)}
    return subprocess.run(command, check=False, env={**os.environ, **settings}).returncode  # noqa: S603
