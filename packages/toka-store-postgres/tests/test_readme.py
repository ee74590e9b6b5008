import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(location) -> None:
    match = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    environment = {**os.environ, "TOKA_STORE": f"postgresql:{location}"}
    subprocess.run(  # noqa: S603 - our own example
        [sys.executable, "-c", match.group(1)], check=True, env=environment, timeout=60
    )
