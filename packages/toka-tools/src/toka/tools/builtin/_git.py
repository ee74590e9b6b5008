"""The tools `git_status`, `git_diff` and `git_log`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import attrs
from msgspec import Meta

from toka.tools._errors import CommandDeniedError, PathDeniedError
from toka.tools._typed import Output, TypedTool
from toka.tools.files._paths import demand, file_request
from toka.tools.git._ask import Answer, asking_git
from toka.tools.git._parse import LOG_FORMAT, parse_changes, parse_log, parse_status
from toka.tools.git._repository import PROGRAM_REQUEST, Repository, find_repository
from toka.tools.process._confined import text_of

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.tools.git._parse import ChangedFile
    from toka.types import Json, SideEffect

MAX_SHOWN_FILES: Final = 500

Path: TypeAlias = Annotated[str, Meta(description="A directory of the working tree.", min_length=1)]
Revision: TypeAlias = Annotated[
    str,
    Meta(
        description="A commit, branch or tag.",
        pattern=r"^[A-Za-z0-9_@][A-Za-z0-9_./@{}~^+-]{0,199}$",
    ),
]
Paths: TypeAlias = Annotated[
    tuple[str, ...], Meta(description="Only these, relative to the repository.", max_length=100)
]

_NO_PROGRAMS: Final = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all")


@attrs.frozen
class GitStatusArguments:
    """Arguments of `git_status`."""

    path: Path = "."
    untracked: Literal["no", "normal", "all"] = "normal"


@attrs.frozen
class GitDiffArguments:
    """Arguments of `git_diff`."""

    path: Path = "."
    staged: Annotated[bool, Meta(description="What is in the index, not the working tree.")] = False
    base: Revision | None = None
    head: Annotated[
        Revision | None, Meta(description="Compare `base` with this, not the working tree.")
    ] = None
    paths: Paths = ()
    context_lines: Annotated[int, Meta(ge=0, le=1_000)] = 3
    patch: Annotated[bool, Meta(description="Return the changed lines, not only counts.")] = True


@attrs.frozen
class GitLogArguments:
    """Arguments of `git_log`."""

    path: Path = "."
    revision: Annotated[Revision, Meta(description="Where to start.")] = "HEAD"
    paths: Paths = ()
    max_count: Annotated[int, Meta(ge=1, le=1_000)] = 20
    skip: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class GitStatus(TypedTool[GitStatusArguments]):
    """Says what is not as in the last commit."""

    name = "git_status"
    description = (
        "Return the branch of a Git working tree, how far it is ahead and behind, and `entries`:"
        " each path whose `index` or `worktree` state differs from the last commit."
    )
    side_effect: SideEffect = "read_only"
    actions = ("proc:run",)
    kind = GitStatusArguments

    def needs(self, arguments: GitStatusArguments, workspace: Workspace) -> tuple[str, ...]:
        return find_repository(arguments.path, workspace).requests

    async def run(self, arguments: GitStatusArguments, context: ToolContext) -> Output:
        repository = _allowed(arguments.path, context)
        async with asking_git(repository, context) as git:
            answer = await git.ask(
                "status",
                "--porcelain=v2",
                "--branch",
                "-z",
                f"--untracked-files={arguments.untracked}",
                "--ignore-submodules=all",
            )
        headers, entries = parse_status(answer.data)
        shown = [one for one in entries if repository.shows(one.path, context)]
        ahead, behind = _ahead_behind(headers.get("branch.ab"))
        value: dict[str, Json] = {
            "root": repository.root,
            "branch": _unless(headers.get("branch.head"), "(detached)"),
            "head": _unless(headers.get("branch.oid"), "(initial)"),
            "upstream": headers.get("branch.upstream"),
            "ahead": ahead,
            "behind": behind,
            "clean": not entries and not answer.truncated,
            "entries": [one.value() for one in shown],
            "skipped": len(entries) - len(shown),
            "truncated": answer.truncated,
        }
        return Output(value, truncated=answer.truncated)


class GitDiff(TypedTool[GitDiffArguments]):
    """Shows what differs between commits, the index and the working tree."""

    name = "git_diff"
    description = (
        "Compare the working tree of a Git repository with the index, or with `staged` the index"
        " with the last commit, or with the commits `base` and `head`. Returns `files` with their"
        " counts of lines, and `patch` in unified format."
    )
    side_effect: SideEffect = "read_only"
    actions = ("proc:run",)
    kind = GitDiffArguments

    def needs(self, arguments: GitDiffArguments, workspace: Workspace) -> tuple[str, ...]:
        return _needs(arguments.path, arguments.paths, workspace)

    async def run(self, arguments: GitDiffArguments, context: ToolContext) -> Output:
        repository = _allowed(arguments.path, context)
        _demand_paths(repository, arguments.paths, context)
        compared = _compared(arguments)
        async with asking_git(repository, context) as git:
            listed = await git.ask(
                "diff", "--raw", "--numstat", "-z", *compared, "--", *arguments.paths
            )
            files = parse_changes(listed.data)
            shown = [one for one in files if _is_shown(one, repository, context)]
            patch = Answer(b"", truncated=False)
            if arguments.patch and shown:
                names = [name for one in shown[:MAX_SHOWN_FILES] for name in one.names]
                lines = f"--unified={arguments.context_lines}"
                patch = await git.ask("diff", lines, *compared, "--", *dict.fromkeys(names))
        text, replaced = text_of(patch.data)
        more = arguments.patch and len(shown) > MAX_SHOWN_FILES
        truncated = listed.truncated or patch.truncated or more
        value: dict[str, Json] = {
            "root": repository.root,
            "files": [one.value() for one in shown],
            "patch": text,
            "replaced": replaced,
            "skipped": len(files) - len(shown),
            "truncated": truncated,
        }
        return Output(value, truncated=truncated)


class GitLog(TypedTool[GitLogArguments]):
    """Lists commits."""

    name = "git_log"
    description = (
        "List commits of a Git repository, the newest first, with parents, author, committer,"
        " refs and message; with `paths` only those that changed one of them."
    )
    side_effect: SideEffect = "read_only"
    actions = ("proc:run",)
    kind = GitLogArguments

    def needs(self, arguments: GitLogArguments, workspace: Workspace) -> tuple[str, ...]:
        return _needs(arguments.path, arguments.paths, workspace)

    async def run(self, arguments: GitLogArguments, context: ToolContext) -> Output:
        repository = _allowed(arguments.path, context)
        _demand_paths(repository, arguments.paths, context)
        async with asking_git(repository, context) as git:
            answer = await git.ask(
                "log",
                "-z",
                f"--format=tformat:{LOG_FORMAT}",
                f"--max-count={arguments.max_count + 1}",
                f"--skip={arguments.skip}",
                "--no-show-signature",
                "--no-notes",
                "--no-color",
                "--no-mailmap",
                arguments.revision,
                "--",
                *arguments.paths,
            )
        commits = parse_log(answer.data)
        more = len(commits) > arguments.max_count
        truncated = answer.truncated or more
        value: dict[str, Json] = {
            "root": repository.root,
            "commits": commits[: arguments.max_count],
            "next_skip": arguments.skip + arguments.max_count if more else None,
            "truncated": truncated,
        }
        return Output(value, truncated=truncated)


def _needs(path: str, paths: tuple[str, ...], workspace: Workspace) -> tuple[str, ...]:
    repository = find_repository(path, workspace)
    asked = [file_request("read", _inside(repository, one)) for one in paths]
    return tuple(dict.fromkeys((*repository.requests, *asked)))


def _inside(repository: Repository, path: str) -> str:
    if path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise PathDeniedError(
            f"{path[:80]!r} is not a path of the repository.",
            hint="Write it relative to the repository, without '..'.",
        )
    return f"{repository.root}/{path}".rstrip("/").replace("/./", "/").removesuffix("/.")


def _allowed(path: str, context: ToolContext) -> Repository:
    """Find the repository, and check at the point of use that Git and it are granted."""
    if not context.granted.covers(PROGRAM_REQUEST):
        raise CommandDeniedError(
            f"The call needs {PROGRAM_REQUEST}, which is not granted.",
            details={"request": PROGRAM_REQUEST},
        )
    repository = find_repository(path, context.workspace)
    repository.demand(context)
    return repository


def _demand_paths(repository: Repository, paths: tuple[str, ...], context: ToolContext) -> None:
    for path in paths:
        demand("read", _inside(repository, path), context)


def _compared(arguments: GitDiffArguments) -> tuple[str, ...]:
    staged = ("--cached",) if arguments.staged else ()
    commits = [one for one in (arguments.base, arguments.head) if one is not None]
    if arguments.head is not None and arguments.base is None:
        commits = ["HEAD", arguments.head]
    return (*_NO_PROGRAMS, "--find-renames", *staged, *commits)


def _is_shown(file: ChangedFile, repository: Repository, context: ToolContext) -> bool:
    return all(repository.shows(name, context) for name in file.names)


def _ahead_behind(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    ahead, _, behind = text.partition(" ")
    return int(ahead), -int(behind)


def _unless(text: str | None, special: str) -> str | None:
    return None if text == special else text
