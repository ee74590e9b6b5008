import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_example_of_a_guest_runs_after_the_first_one():
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    guests = [one for one in examples if "load_wasm_tool" in one]
    assert len(guests) == 1
    command = [sys.executable, "-W", "error", "-c", "\n".join([examples[0], *guests])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr
