from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
SAYS = ["The sum is 3.\n", "Hello.\n"]
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def test_every_example_is_run():
    assert len(EXAMPLES) == len(SAYS)


@pytest.mark.parametrize("number", range(len(SAYS)))
def test_the_readme_examples_run(number):
    example, says = EXAMPLES[number], SAYS[number]
    done = subprocess.run(  # noqa: S603 - our own example
        [sys.executable, "-W", "error", "-c", example],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
    assert done.stdout == says
