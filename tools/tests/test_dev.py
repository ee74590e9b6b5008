from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from workshop import dev

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("UV_", "PIP_", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_uv_is_told_the_index_that_pip_uses(tmp_path: Path) -> None:
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = https://mirror.example/simple\n"
    )

    assert dev.settings_of_pip()["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"


def test_the_environment_wins_over_the_files_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "elsewhere.conf"
    path.write_text("[global]\nindex-url = https://mirror.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    monkeypatch.setenv("PIP_CERT", "/certificates.pem")

    assert dev.settings_of_pip() == {
        "UV_DEFAULT_INDEX": "https://other.example/simple",
        "SSL_CERT_FILE": "/certificates.pem",
    }


def test_settings_of_uv_itself_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")

    assert "UV_DEFAULT_INDEX" not in dev.settings_of_pip()


def test_an_interpreter_that_does_not_start_is_not_usable(tmp_path: Path) -> None:
    assert not dev.is_usable(tmp_path / "python")


def test_wrong_use_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["tset"]) == 2
    assert "tools/dev test" in capsys.readouterr().err
