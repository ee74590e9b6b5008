"""The suites of the benchmark command follow the packages that they measure."""

import subprocess
import sys

import pytest

from workshop import bench
from workshop.shell import ROOT


@pytest.mark.parametrize("suite", bench.suites())
def test_a_suite_can_be_read_where_its_peers_are_not_installed(suite: str) -> None:
    code = f"from benchmarks import {suite}; assert callable({suite}.measures)"
    done = subprocess.run(  # noqa: S603 - this interpreter; as tools/bench reads it
        [sys.executable, "-c", code],
        cwd=ROOT / "tools",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
