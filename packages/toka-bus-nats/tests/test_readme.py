import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_first_example_runs(server) -> None:
    match = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    subprocess.run(  # noqa: S603 - our own example
        [sys.executable, "-c", match.group(1)], check=True, env={"NATS_URL": server.url}, timeout=60
    )
