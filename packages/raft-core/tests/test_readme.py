"""The README's example runs, and is as short as it says."""

import re
from pathlib import Path


def _example() -> str:
    readme = Path(__file__).parent.parent / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    return blocks[0]


def test_the_example_runs() -> None:
    exec(compile(_example(), "README.md", "exec"), {})  # noqa: S102 - our own documentation


def test_the_example_is_under_120_lines() -> None:
    assert len(_example().splitlines()) < 120
