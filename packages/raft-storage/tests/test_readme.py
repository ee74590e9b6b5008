"""The README's examples run, one after another."""

import re
from pathlib import Path


def test_the_examples_run():
    readme = Path(__file__).parent.parent / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    exec(compile("".join(blocks), "README.md", "exec"), {})  # noqa: S102 - our own documentation
