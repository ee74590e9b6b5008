import re
import subprocess
import sys
from pathlib import Path


def test_the_example_runs():
    readme = Path(__file__).parent.parent / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert blocks
    # In a process of its own: telemetry can be switched on once in the life of one.
    command = [sys.executable, "-W", "error", "-c", blocks[0]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
