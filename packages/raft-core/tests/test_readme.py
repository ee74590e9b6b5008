"""The README's examples run, and the first one is as short as it says."""

import re
from pathlib import Path

import pytest


def _examples() -> list[str]:
    readme = Path(__file__).parent.parent / "README.md"
    return re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_the_examples_run(number: int) -> None:
    code = compile(_examples()[number], "README.md", "exec")
    exec(code, {"__name__": "example"})  # noqa: S102 - our own documentation


def test_no_example_is_left_out() -> None:
    assert len(_examples()) == 2


def test_the_first_example_is_under_120_lines() -> None:
    assert len(_examples()[0].splitlines()) < 120
