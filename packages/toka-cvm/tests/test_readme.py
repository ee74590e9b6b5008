import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_runs(block):
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - our own documentation


def test_there_are_examples():
    assert len(BLOCKS) == 3
