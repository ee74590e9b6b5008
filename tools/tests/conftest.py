from __future__ import annotations

import hashlib
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from workshop.shell import ROOT, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        pass


class Registry:
    """A package registry on this machine: a folder of wheels behind HTTP."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def publish(self, name: str, version: str, tag: str = "py3-none-any", text: str = "") -> None:
        page = self.folder / "simple" / name
        page.mkdir(parents=True, exist_ok=True)
        wheel(page / f"{name}-{version}-{tag}.whl", name, version, {f"{name}.py": text})
        links = [
            f'<a href="{path.name}#sha256={hashlib.sha256(path.read_bytes()).hexdigest()}">'
            f"{path.name}</a>"
            for path in sorted(page.glob("*.whl"))
        ]
        (page / "index.html").write_text("<!doctype html>\n" + "\n".join(links))


def wheel(path: Path, name: str, version: str, files: dict[str, str], more: str = "") -> None:
    information = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}"
    everything = {
        **files,
        f"{information}/METADATA": metadata,
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{member},,\n" for member in everything)
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**everything, f"{information}/RECORD": record}.items():
            archive.writestr(member, text)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    it = Registry(tmp_path / "registry")
    thread = threading.Thread(target=it.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield it
    it.server.shutdown()
    thread.join()
    it.server.server_close()


@pytest.fixture
def project(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project under git whose only dependency is in the registry, locked and committed."""
    for name, value in {
        "UV_DEFAULT_INDEX": registry.url,
        "UV_NO_CACHE": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    registry.publish("thing", "1.0")
    registry.publish("thing", "1.1")
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text(
        '[project]\nname = "project"\nversion = "0"\nrequires-python = ">=3.11"\n'
        'dependencies = ["thing"]\n'
    )
    # The filter's program, and what asks for it, as in every clone of this project.
    (root / "tools").symlink_to(ROOT / "tools")
    (root / ".gitattributes").write_text("uv.lock filter=uv-lock\n")
    (root / ".gitignore").write_text("tools\n")
    run(["git", "init", "-q", "-b", "main"], cwd=root)
    return root


@pytest.fixture
def make_wheel() -> Callable[..., None]:
    return wheel
