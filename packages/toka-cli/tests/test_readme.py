import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = README.read_text()
    (example, *_) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 - our own text
