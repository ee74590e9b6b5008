from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workshop import addresses
from workshop.shell import run

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_HOST = "packages.internal.example"


def findings(root: Path) -> list[str]:
    return addresses.findings(root, hosts=[])


def commit(root: Path, path: str, text: str, message: str = "Add a file") -> None:
    (root / path).write_text(text)
    run(["git", "add", "."], cwd=root)
    run(["git", "commit", "-q", "-m", message], cwd=root)


def test_nothing_is_found_where_no_registry_is_named(project: Path) -> None:
    commit(project, "README.md", "See https://example.org for more.\n")

    assert findings(project) == []


def test_a_well_known_registry_is_found_in_any_file(project: Path) -> None:
    host = min(addresses.WELL_KNOWN)
    commit(project, "notes.txt", f"fine\nfrom {host.upper()}\n")

    assert findings(project) == [f"notes.txt:2:from {host.upper()}"]


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL", "npm_config_registry"])
def test_the_registry_of_this_machine_is_found_in_any_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"https://user:word@{PRIVATE_HOST}/simple")
    commit(project, "run.sh", f"curl {PRIVATE_HOST}\n")

    assert findings(project) == [f"run.sh:1:curl {PRIVATE_HOST}"]


def test_any_address_is_found_in_a_lock_of_npm(project: Path) -> None:
    commit(project, "package-lock.json", '{"resolved": "https://example.org/a.tgz"}\n')

    assert findings(project)[0] == 'package-lock.json:1: {"resolved": "https://example.org/a.tgz"}'


def test_an_address_is_found_in_a_commit_that_a_later_one_mends(project: Path) -> None:
    commit(project, "package-lock.json", "https://example.org/a.tgz\n")
    commit(project, "package-lock.json", "{}\n")

    assert [text.partition(": ")[2] for text in findings(project)] == ["+https://example.org/a.tgz"]


def test_a_commit_message_may_not_name_a_registry(project: Path) -> None:
    commit(project, "a", "", message=f"Fetch from {min(addresses.WELL_KNOWN)}")

    assert "its message: Fetch from" in findings(project)[0]
