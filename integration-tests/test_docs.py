"""Runs the documentation: what a page tells a reader to write and type is written and typed.

In a page, a fenced block whose first line is a comment `file: NAME` is a file; a `console` block
holds commands after `$ `, each of which must succeed unless its line ends in `# exit N`. Output
lines below a command must appear in its output; `...` stands for anything.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_PAGES = sorted((_ROOT / "docs").rglob("*.md"))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_FILE = re.compile(r"^(?:#|//) file: (\S+)\n")
_EXIT = re.compile(r"\s+# exit (\d+)$")


def _runs(page: Path) -> bool:
    return "```console" in page.read_text()


@pytest.mark.parametrize("page", [page for page in _PAGES if _runs(page)], ids=lambda p: p.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(_ROOT / "examples")
    for language, text in _BLOCK.findall(page.read_text()):
        named = _FILE.match(text)
        if named:
            file = tmp_path / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text[named.end() :])
        elif language == "console":
            for command, output in _commands(text):
                _run(command, output, tmp_path)


def _commands(block: str) -> list[tuple[str, list[str]]]:
    commands: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append((line.removeprefix("$ "), []))
        elif line.strip():
            commands[-1][1].append(line)
    return commands


def _run(command: str, expected: list[str], directory: Path) -> None:
    status = 0
    marked = _EXIT.search(command)
    if marked:
        status, command = int(marked[1]), command[: marked.start()]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S602 - our own documentation, as a reader would type it
        command,
        shell=True,
        cwd=directory,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == status, f"$ {command}\n{output}"
    for line in expected:
        pattern = ".*".join(re.escape(part) for part in line.split("..."))
        assert re.search(pattern, output), f"$ {command}\nno line {line!r} in\n{output}"


def test_links_in_the_documentation_lead_somewhere() -> None:
    broken: list[str] = []
    for page in [*_PAGES, _ROOT / "README.md", *(_ROOT / "packages").glob("*/README.md")]:
        broken += [
            f"{page.relative_to(_ROOT)}: {target}"
            for target in re.findall(r"\]\(([^)#\s]+)", _CODE.sub("", page.read_text()))
            if "://" not in target and not (page.parent / target).exists()
        ]
    assert not broken
