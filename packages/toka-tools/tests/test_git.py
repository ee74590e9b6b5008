"""Git: what it says of a repository, and what a repository cannot make it do."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest

from toka.tools import (
    AccessDeniedError,
    FileMissingError,
    InvalidArgumentsError,
    PathDeniedError,
    RepositoryError,
    SandboxLevel,
    SandboxPolicy,
    ToolRegistry,
)
from toka.tools.git._parse import parse_changes, parse_log, parse_status
from toka.tools.sandbox import prove

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from toka.tools import ToolContext
    from toka.types import Json

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        shutil.which("git", path="/usr/bin:/usr/local/bin:/bin") is None, reason="no git"
    ),
]

ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada L",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Grace",
    "GIT_COMMITTER_EMAIL": "grace@example.com",
    "GIT_AUTHOR_DATE": "2025-07-06T10:00:00+02:00",
    "GIT_COMMITTER_DATE": "2025-07-07T10:00:00+00:00",
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
}


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


@pytest.fixture
def root(workspace) -> Path:
    root = workspace.root
    git(root, "init", "-q", "-b", "main")
    (root / "a.txt").write_text("one\ntwo\n")
    (root / "secret").mkdir()
    (root / "secret" / "key.txt").write_text("old key\n")
    (root / "b.bin").write_bytes(b"\0\1")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "First\n\nWith a body: \u00fcber.")
    return root


@pytest.fixture
def ask(registry: ToolRegistry, context_for: Callable[..., ToolContext], root):
    async def call(
        name: str, *permissions: str, context: ToolContext | None = None, **arguments: Json
    ) -> Mapping[str, Json]:
        granted = permissions or ("proc:run:git", f"fs:read:{root}/**")
        context = context or context_for(*granted)
        result = await registry.call(f"git_{name}", arguments, context)
        value = cast("Mapping[str, Json]", result.value)
        assert value["truncated"] == result.truncated
        return value

    return call


async def test_status_of_a_clean_tree(ask, root) -> None:
    value = await ask("status")
    assert (value["branch"], value["clean"], value["entries"]) == ("main", True, [])
    assert value["head"] == git(root, "rev-parse", "HEAD").strip()
    assert (value["upstream"], value["ahead"]) == (None, None)


async def test_status_tells_every_kind_of_change(ask, root) -> None:
    (root / "a.txt").write_text("one\n")
    (root / "new \u00fc\n.txt").write_text("x")
    git(root, "mv", "b.bin", "c.bin")
    git(root, "rm", "-q", "--cached", "secret/key.txt")
    value = await ask("status")
    entries = {entry["path"]: entry for entry in value["entries"]}
    assert entries["a.txt"] == {"path": "a.txt", "index": "", "worktree": "modified"}
    assert entries["c.bin"] == {
        "path": "c.bin", "index": "renamed", "worktree": "", "from": "b.bin"
    }  # fmt: skip
    assert entries["secret/key.txt"]["index"] == "deleted"
    assert entries["new \u00fc\n.txt"]["worktree"] == "untracked"
    assert not value["clean"]
    assert "new" not in str((await ask("status", untracked="no"))["entries"])


async def test_status_knows_the_upstream(ask, root, tmp_path) -> None:
    git(tmp_path, "clone", "-q", str(root), str(tmp_path / "there"))
    git(root, "remote", "add", "origin", str(tmp_path / "there"))
    git(root, "fetch", "-q", "origin")
    git(root, "branch", "-q", "--set-upstream-to=origin/main")
    git(root, "commit", "-q", "--allow-empty", "-m", "Second")
    value = await ask("status")
    assert (value["upstream"], value["ahead"], value["behind"]) == ("origin/main", 1, 0)


async def test_a_repository_without_commits(registry, workspace, context_for) -> None:
    git(workspace.root, "init", "-q", "-b", "trunk")
    context = context_for("proc:run:git", f"fs:read:{workspace.root}/**")
    value = cast("Mapping[str, Json]", (await registry.call("git_status", {}, context)).value)
    assert (value["branch"], value["head"], value["clean"]) == ("trunk", None, True)
    with pytest.raises(RepositoryError, match="HEAD"):
        await registry.call("git_log", {}, context)


async def test_diff_counts_and_shows_lines(ask, root) -> None:
    (root / "a.txt").write_text("one\n2\nthree\n")
    (root / "b.bin").write_bytes(b"\0\2")
    value = await ask("diff")
    assert value["files"] == [
        {"path": "a.txt", "status": "modified", "added": 2, "deleted": 1},
        {"path": "b.bin", "status": "modified", "added": None, "deleted": None},
    ]
    assert "-two\n+2\n+three\n" in value["patch"]
    assert (await ask("diff", patch=False))["patch"] == ""
    assert [one["path"] for one in (await ask("diff", paths=["a.txt"]))["files"]] == ["a.txt"]


async def test_diff_of_the_index_and_of_commits(ask, root) -> None:
    (root / "a.txt").write_text("one\n")
    git(root, "add", "a.txt")
    assert (await ask("diff"))["files"] == []
    assert "-two" in (await ask("diff", staged=True))["patch"]
    git(root, "mv", "a.txt", "moved.txt")
    git(root, "commit", "-q", "-m", "Second")
    value = await ask("diff", base="HEAD~1", head="main")
    (file,) = value["files"]
    assert (file["status"], file["path"]) in (("renamed", "moved.txt"), ("added", "moved.txt"))
    assert (await ask("diff", base="HEAD"))["files"] == []


async def test_log_lists_commits(ask, root) -> None:
    git(root, "tag", "v1")
    git(root, "commit", "-q", "--allow-empty", "-m", "Second")
    value = await ask("log", max_count=1)
    (second,) = value["commits"]
    assert (second["message"], value["next_skip"], value["truncated"]) == ("Second", 1, True)
    rest = await ask("log", skip=1)
    (first,) = rest["commits"]
    assert first["message"] == "First\n\nWith a body: \u00fcber."
    assert first["author"] == {
        "name": "Ada L", "email": "ada@example.com", "time": "2025-07-06T10:00:00+02:00"
    }  # fmt: skip
    assert (first["refs"], first["parents"]) == (["tag: v1"], [])
    assert second["parents"] == [first["commit"]]
    assert rest["next_skip"] is None
    assert len((await ask("log", paths=["a.txt"], revision="main"))["commits"]) == 1


HOSTILE = """
[core]
    fsmonitor = {run}
    hooksPath = {root}/hooks
    pager = {run}
    sshCommand = {run}
    editor = {run}
    attributesFile = {root}/attributes
[diff]
    external = {run}
[diff "evil"]
    command = {run}
    textconv = {run}
[filter "evil"]
    clean = {run}
    smudge = {run}
    process = {run}
    required = true
[log]
    showSignature = true
[gpg]
    program = {run}
[alias]
    status = !{run}
    log = !{run}
[pager]
    log = {run}
    status = {run}
[include]
    path = {root}/more
[interactive]
    diffFilter = {run}
[extensions]
    partialClone = origin
[remote "origin"]
    url = ext::{run}
    promisor = true
    uploadpack = {run}
"""


@pytest.fixture
def trap(root, tmp_path) -> Path:
    """Make the repository name a program in every way that is known."""
    sprung = tmp_path / "sprung"
    run = tmp_path / "run.sh"
    run.write_text(f"#!/bin/sh\ntouch {sprung}\ncat\n")
    run.chmod(0o755)
    (root / "hooks").mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "post-checkout"):
        (root / "hooks" / hook).write_text(run.read_text())
        (root / ".git" / "hooks" / hook).write_text(run.read_text())
        (root / "hooks" / hook).chmod(0o755)
        (root / ".git" / "hooks" / hook).chmod(0o755)
    (root / "more").write_text(f"[core]\n fsmonitor = {run}\n")
    (root / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (root / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil\n")
    with (root / ".git" / "config").open("a") as config:
        config.write(HOSTILE.format(run=run, root=root))
    return sprung


@pytest.mark.parametrize("level", ["limits", "landlock"])
async def test_nothing_that_the_repository_names_is_run(
    ask, root, trap, context_for, level
) -> None:
    (root / "a.txt").write_text("one\nthree\n")
    os.utime(root / "b.bin", (1, 1))
    policy = SandboxPolicy(SandboxLevel(level))
    if policy.level.confines and not (await prove(policy.level)).proven:
        pytest.skip("this machine does not prove the level")
    context = context_for("proc:run:git", f"fs:read:{root}/**", sandbox=policy)
    assert "a.txt" in str((await ask("status", context=context))["entries"])
    assert "+three" in (await ask("diff", context=context))["patch"]
    assert len((await ask("log", context=context))["commits"]) == 1
    assert not trap.exists()


def test_the_trap_is_one(root, trap) -> None:
    (root / "a.txt").write_text("one\nthree\n")
    with suppress(subprocess.CalledProcessError):
        git(root, "diff")
    assert trap.exists()


@pytest.mark.parametrize(
    "part", ["packed-refs", "shallow", "index", "refs/heads/x", "objects/info/alternates"]
)
async def test_parts_that_are_links_show_no_other_file(ask, root, tmp_path, part: str) -> None:
    if "/" in part and not (await prove(SandboxLevel.LANDLOCK)).proven:
        pytest.skip("this machine does not prove the level")
    secret = tmp_path / "secret.txt"
    secret.write_text("top-secret-line\n")
    (root / ".git" / part).unlink(missing_ok=True)
    (root / ".git" / part).symlink_to(secret)
    for name in ("status", "diff", "log"):
        try:
            said = str(await ask(name))
        except RepositoryError as error:
            said = f"{error} {error.details}"
        assert "top-secret" not in said


async def test_a_submodule_runs_nothing(ask, root, tmp_path) -> None:
    sprung = tmp_path / "sprung"
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    git(inner, "commit", "-q", "--allow-empty", "-m", "Inner")
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    with (root / ".git" / "modules" / "sub" / "config").open("a") as config:
        config.write(f"[core]\n fsmonitor = touch {sprung}\n")
    await ask("status")
    await ask("diff")
    assert not sprung.exists()


async def test_nothing_of_the_repository_is_changed(ask, root) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        files = [path for path in root.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    os.utime(root / "a.txt", (1, 1))
    before = state()
    for name in ("status", "diff", "log"):
        await ask(name)
    assert state() == before


async def test_a_linked_working_tree(ask, root, registry, context_for, tmp_path) -> None:
    git(root, "worktree", "add", "-q", "-b", "side", str(root / "linked"))
    (root / "linked" / "a.txt").write_text("x\n")
    value = await ask("status", path="linked")
    assert (value["branch"], value["root"]) == ("side", f"{root}/linked")
    assert [entry["path"] for entry in value["entries"]] == ["a.txt"]
    git(root, "worktree", "add", "-q", "-b", "far", str(tmp_path / "far"))
    only_tree = context_for("proc:run:git", f"fs:read:{tmp_path}/far/**")
    with pytest.raises(AccessDeniedError):
        await registry.call("git_status", {"path": str(tmp_path / "far")}, only_tree)


async def test_what_is_needed_is_derived(root, registry, workspace) -> None:
    needed = ("proc:run:git", f"fs:read:{root}", f"fs:read:{root}/.git")
    assert registry.get("git_status").requests({"path": "secret"}, workspace) == needed
    wanted = registry.get("git_log").requests({"paths": ["a.txt"]}, workspace)
    assert wanted == (*needed, f"fs:read:{root}/a.txt")


@pytest.mark.parametrize(
    "granted",
    [
        ("proc:run:git",),
        ("fs:read:{root}/**",),
        ("proc:run:git", "fs:read:{root}"),
        ("proc:run:git", "fs:read:{root}/secret/**"),
    ],
)
async def test_each_need_is_demanded(ask, root, granted: tuple[str, ...]) -> None:
    for name in ("status", "diff", "log"):
        with pytest.raises(AccessDeniedError):
            await ask(name, *[one.format(root=root) for one in granted])


async def test_files_outside_the_grant_are_not_shown(ask, root) -> None:
    (root / "a.txt").write_text("x\n")
    (root / "secret" / "key.txt").write_text("new key\n")
    granted = (
        "proc:run:git",
        f"fs:read:{root}",
        f"fs:read:{root}/.git/**",
        f"fs:read:{root}/.git",
        f"fs:read:{root}/a.txt",
    )
    status = await ask("status", *granted)
    assert ([one["path"] for one in status["entries"]], status["skipped"]) == (["a.txt"], 1)
    diff = await ask("diff", *granted)
    assert "+x" in diff["patch"]
    assert "key" not in diff["patch"]
    assert diff["skipped"] == 1
    with pytest.raises(AccessDeniedError):
        await ask("diff", *granted, paths=["secret/key.txt"])
    with pytest.raises(AccessDeniedError):
        await ask("log", *granted, paths=["secret"])


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "secret/../../x", "a\0b"])
async def test_paths_outside_of_the_repository_are_refused(ask, path: str) -> None:
    with pytest.raises(PathDeniedError):
        await ask("diff", paths=[path])


@pytest.mark.parametrize(
    "revision", ["--output=/tmp/x", "-p", "", "HEAD:a.txt", "a b", "$(x)", "..", "x" * 300]
)
async def test_a_revision_that_could_be_an_option_is_refused(ask, revision: str) -> None:
    with pytest.raises(InvalidArgumentsError):
        await ask("log", revision=revision)
    with pytest.raises(InvalidArgumentsError):
        await ask("diff", base=revision)


async def test_what_git_does_not_know_is_told(ask) -> None:
    with pytest.raises(RepositoryError, match="nope"):
        await ask("log", revision="nope")


async def test_no_repository_is_told(registry, workspace, context_for) -> None:
    context = context_for("proc:run:git", "fs:read:/**")
    with pytest.raises(RepositoryError):
        await registry.call("git_status", {}, context)
    (workspace.root / ".git").write_text("gitdir: ../elsewhere")
    with pytest.raises(FileMissingError):
        await registry.call("git_status", {}, context)
    (workspace.root / ".git").write_text("nonsense")
    with pytest.raises(RepositoryError):
        await registry.call("git_status", {}, context)


async def test_a_broken_repository_is_told(ask, root) -> None:
    (root / ".git" / "config").write_text("[core\n")
    with pytest.raises(RepositoryError):
        await ask("status")
    (root / ".git" / "config").write_text("")
    (root / ".git" / "index").write_bytes(b"\xff" * 100)
    with pytest.raises(RepositoryError):
        await ask("status")


async def test_output_is_limited(ask, root, context_for) -> None:
    (root / "a.txt").write_text("line\n" * 50_000)
    context = context_for("proc:run:git", f"fs:read:{root}/**", output_limit_bytes=10_000)
    value = await ask("diff", context=context)
    assert value["truncated"]
    assert len(value["patch"]) <= 10_000


def test_output_that_is_none_is_parsed_as_nothing() -> None:
    for data in (b"", b"\0", b"garbage", b"1 M", b"\xff\0\xff", b":\0", b"1\t2"):
        try:
            parse_status(data)
            parse_changes(data)
        except (IndexError, ValueError):
            continue
        assert parse_log(data) == []
