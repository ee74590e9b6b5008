import re
from pathlib import Path


def test_the_example_runs():
    readme = Path(__file__).parent.parent / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert blocks
    exec(compile(blocks[0], "README.md", "exec"), {})  # noqa: S102 - our own documentation
