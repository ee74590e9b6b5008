import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs(capsys):
    (example, *_) = re.findall(
        r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL
    )
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 - our own text
    assert capsys.readouterr().out == "[]\n"
