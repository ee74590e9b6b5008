from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workshop import lock, uv
from workshop.shell import Failure, output, run

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Registry

COMPLETE = """\
version = 1
requires-python = ">=3.11"

[[package]]
name = "thing"
version = "1.0"
source = { registry = "https://registry.example/simple" }
sdist = { url = "https://files.example/a/b/thing-1.0.tar.gz", hash = "sha256:aa", size = 12 }
wheels = [
    { url = "https://files.example/c/thing-1.0-py3-none-any.whl", hash = "sha256:bb", \
size = 3, upload-time = "2026-01-01T00:00:00Z" },
]
"""

NEUTRAL = """\
version = 1
requires-python = ">=3"

[[package]]
name = "thing"
version = "1.0"
source = { registry = "index" }
sdist = { path = "thing-1.0.tar.gz", hash = "sha256:aa" }
wheels = [
    { path = "thing-1.0-py3-none-any.whl", hash = "sha256:bb" },
]
"""


def commit(root: Path) -> None:
    run(["git", "add", "."], cwd=root)
    run(["git", "commit", "-q", "-m", "Lock"], cwd=root)


def made(root: Path) -> Path:
    lock.make(root, ["--quiet"])
    commit(root)
    return root / "uv.lock"


def test_neutral_form_keeps_versions_and_hashes_only() -> None:
    assert lock.neutral(COMPLETE) == NEUTRAL


def test_neutral_form_of_a_neutral_lock_is_itself() -> None:
    assert lock.neutral(NEUTRAL) == NEUTRAL


def test_files_that_nobody_reviewed_are_left_out() -> None:
    extra = COMPLETE.replace("py3-none-any", "cp399-cp399-linux").splitlines(keepends=True)[-2]
    grown = COMPLETE.replace("wheels = [\n", f"wheels = [\n{extra.replace('bb', 'cc')}")

    assert lock.prune(grown, NEUTRAL) == COMPLETE


def test_a_version_that_nobody_locked_yet_is_left_as_it_is() -> None:
    assert lock.prune(COMPLETE, NEUTRAL.replace('"1.0"', '"0.9"')) == COMPLETE


def test_a_reviewed_file_with_another_hash_is_refused() -> None:
    with pytest.raises(Failure, match=r"thing-1\.0\.tar\.gz with hash sha256:ee, locked is .*:aa"):
        lock.prune(COMPLETE.replace("sha256:aa", "sha256:ee"), NEUTRAL)


def test_uv_completes_a_neutral_lock_to_what_it_was_made_from(project: Path) -> None:
    run([uv.path(), "lock", "--quiet"], cwd=project)
    complete = (project / "uv.lock").read_text()
    (project / "uv.lock").write_text(lock.neutral(complete))

    lock.complete(project)

    assert (project / "uv.lock").read_text() == complete


def test_completing_keeps_to_a_locked_version_that_is_not_the_newest(project: Path) -> None:
    lock.make(project, ["--quiet", "--upgrade-package", "thing==1.0"])
    assert 'version = "1.0"' in made(project).read_text()

    lock.complete(project)

    assert 'version = "1.0"' in (project / "uv.lock").read_text()


def test_git_sees_a_completed_lock_as_unchanged(project: Path) -> None:
    made(project)

    lock.complete(project)

    assert "http" in (project / "uv.lock").read_text()
    assert output(["git", "status", "--porcelain"], cwd=project) == ""


def test_git_moves_to_another_lock_in_a_project_that_is_set_up(project: Path) -> None:
    newer = made(project).read_text("utf-8")
    file = project / "pyproject.toml"
    file.write_text(file.read_text("utf-8").replace("thing", "thing<1.1"), "utf-8")
    path = made(project)
    lock.complete(project)

    run(["git", "checkout", "-q", "HEAD~1"], cwd=project)
    assert path.read_text("utf-8") == newer


def test_git_is_never_given_an_address(project: Path) -> None:
    path = made(project)
    (project / "pyproject.toml").write_text(
        (project / "pyproject.toml").read_text().replace("thing", "thing<1.1")
    )

    lock.complete(project)
    assert "M uv.lock" in output(["git", "status", "--porcelain"], cwd=project)
    commit(project)

    assert "http" in path.read_text()
    assert "http" not in output(["git", "show", "HEAD:uv.lock"], cwd=project)
    lock.check(project)


def test_check_passes_when_the_registry_has_gained_a_file(
    project: Path, registry: Registry
) -> None:
    made(project)
    registry.publish("thing", "1.1", tag="py311-none-any")

    lock.check(project)


def test_check_refuses_a_registry_that_serves_other_bytes_every_time(
    project: Path, registry: Registry
) -> None:
    path = made(project)
    before = path.read_text()
    registry.publish("thing", "1.1", text="evil = True")

    for _ in range(2):
        with pytest.raises(Failure, match="do not install from it"):
            lock.check(project)

    assert path.read_text() == before


def test_check_refuses_a_lock_that_its_project_has_outgrown(project: Path) -> None:
    made(project)
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("thing", "thing<1.1"))

    with pytest.raises(Failure, match="run tools/lock make"):
        lock.check(project)


def test_check_refuses_an_address_in_any_commit_of_a_lock(project: Path) -> None:
    run([uv.path(), "lock", "--quiet"], cwd=project)
    commit(project)
    made(project)

    with pytest.raises(Failure, match=r"commit [0-9a-f]+: \+source = .*http"):
        lock.check(project)


def test_wrong_use_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert lock.main(["make-it"]) == 2
    assert "tools/lock neutral" in capsys.readouterr().err
