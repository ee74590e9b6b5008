"""Asking Git about a repository whose configuration somebody else wrote.

A repository's own configuration can name programs in a dozen ways: fsmonitor, hooks, pagers,
filters, external diffs, text conversions, signature checks, credential and remote helpers, included
files. A list of those to switch off is never complete. So Git never reads it: it is given a
directory of our own with links to everything of the repository but `config` and `hooks`, and a
configuration of the few settings that change how files are compared.

What Git reads it may show, also in a complaint. A repository whose own parts are links could so
have it read any file; such parts are left out, and where this machine can confine commands, Git is
kept to the repository whatever the policy says.
"""

from __future__ import annotations

import os
import re
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools._errors import FileAccessError, RepositoryError
from toka.tools._own_level import own_level
from toka.tools.files._paths import system_error
from toka.tools.files._whole import read_whole
from toka.tools.git._repository import MAX_SMALL_FILE, Repository
from toka.tools.process._confined import Job, run_job, text_of
from toka.tools.process._programs import DEFAULT_PATH, find_program
from toka.tools.process._scratch import scratch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from toka.tools._context import ToolContext
    from toka.tools.sandbox._level import SandboxLevel

# Commands of its own, configuration, and the working trees and modules of others.
_LEFT_OUT: Final = frozenset(
    {"HEAD", "commondir", "config", "config.worktree", "gitdir", "hooks", "modules", "worktrees"}
)
# What Git wants to find in the repository's own file; the values are plain words.
_FORMAT: Final = re.compile(
    r"core\.repositoryformatversion|extensions\.(?:objectformat|compatobjectformat|refstorage)"
)
_PLAIN: Final = re.compile(r"[a-z0-9]{1,32}")
# How files are compared, and which branch follows which.
_KEPT: Final = re.compile(
    r"core\.(?:autocrlf|eol|filemode|ignorecase|precomposeunicode|symlinks|sparsecheckout"
    r"|sparsecheckoutcone)|branch\..*\.(?:remote|merge)|remote\..*\.fetch",
    re.DOTALL,
)
_MAX_SETTINGS: Final = 2_000
_ENVIRONMENT: Final = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "PATH": ":".join(DEFAULT_PATH),
}


@attrs.frozen
class Answer:
    """What Git wrote."""

    data: bytes
    truncated: bool
    """Whether a limit cut it."""


@asynccontextmanager
async def asking_git(repository: Repository, context: ToolContext) -> AsyncGenerator[Git]:
    """Lend Git for the time of one call, with the directory that stands for the repository.

    Raises:
        ToolError: The repository cannot be read, or Git cannot be started.
    """
    async with scratch() as home:
        git = Git(repository, context, home, await own_level(context))
        listed = await git.list_settings()
        _furnish(home / "git", repository, listed)
        yield attrs.evolve(git, settings=_kept(listed))


@attrs.frozen
class Git:
    """Git, and what it is asked about."""

    repository: Repository
    context: ToolContext
    home: Path
    """A directory of its own, in which `git` stands for the repository's."""
    level: SandboxLevel
    settings: Mapping[str, str] = attrs.field(factory=dict[str, str])

    async def ask(self, *arguments: str) -> Answer:
        """Run Git in the repository.

        Raises:
            RepositoryError: Git refuses.
            ToolError: It cannot be started, or takes too long.
        """
        settings = list(self.settings.items())
        environment = {
            "GIT_DIR": str(self.home / "git"),
            "GIT_WORK_TREE": self.repository.root,
            "GIT_CONFIG_COUNT": str(len(settings)),
            **{f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in enumerate(settings)},
            **{f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in enumerate(settings)},
        }
        return await self._run(self.repository.root, environment, *arguments)

    async def list_settings(self) -> list[tuple[str, str]]:
        """Return what the repository's configuration says, read as text and without includes.

        Raises:
            ToolError: It cannot be read, or is none.
        """
        try:
            data = read_whole(f"{self.repository.common}/config", MAX_SMALL_FILE)
        except FileAccessError:
            return []
        copy = self.home / "config"
        copy.write_bytes(data)
        nowhere = {"GIT_DIR": str(self.home), "GIT_CONFIG_COUNT": "0"}
        options = ("--file", str(copy), "--no-includes", "--null", "--list")
        answer = await self._run(str(self.home), nowhere, "config", *options)
        lines = [one.partition("\n") for one in text_of(answer.data)[0].split("\0") if one]
        return [(key, value) for key, separator, value in lines if separator]

    async def _run(self, cwd: str, environment: dict[str, str], *arguments: str) -> Answer:
        context, repository = self.context, self.repository
        program, _ = find_program("git", DEFAULT_PATH)
        job = Job(
            program=program,
            argv=("git", *arguments),
            cwd=cwd,
            environment={**_ENVIRONMENT, **environment},
            scratch=self.home,
            readable=tuple(
                [Path(one) for one in (repository.root, repository.directory, repository.common)]
            ),
            limits=context.limits,
            timeout_ns=context.timeout_ns,
        )
        finished = await run_job(job, context, self.level)
        if finished.exit_code not in (0, None) and finished.ended_by is None:
            said = text_of(finished.stderr)[0].strip()
            raise RepositoryError(
                f"git {arguments[0]}: {said[:500] or finished.exit_code}",
                details={"root": repository.root, "exit_code": finished.exit_code},
            )
        return Answer(finished.stdout, finished.ended_by is not None)


def _kept(listed: list[tuple[str, str]]) -> dict[str, str]:
    kept = {key: value for key, value in listed[:_MAX_SETTINGS] if _KEPT.fullmatch(key)}
    # `git diff` would write the index that it has refreshed, in spite of GIT_OPTIONAL_LOCKS.
    never = {"core.fsmonitor": "false", "core.hooksPath": "/dev/null"}
    return {**kept, **never, "diff.autoRefreshIndex": "false"}


def _furnish(home: Path, repository: Repository, listed: list[tuple[str, str]]) -> None:
    """Make a directory that is the repository but for what it could have run.

    Raises:
        FileAccessError: It cannot be read.
    """
    home.mkdir()
    for place in dict.fromkeys((repository.directory, repository.common)):
        for name in _names(place):
            with suppress(FileExistsError):
                os.symlink(f"{place}/{name}", home / name)  # noqa: PTH211 - plain text
    (home / "HEAD").write_bytes(read_whole(f"{repository.directory}/HEAD", MAX_SMALL_FILE))
    (home / "config").write_text(_format(listed))


def _names(place: str) -> list[str]:
    try:
        with os.scandir(place) as entries:
            return [
                one.name for one in entries if one.name not in _LEFT_OUT and not one.is_symlink()
            ]
    except OSError as error:
        raise system_error(error, place) from error


def _format(listed: list[tuple[str, str]]) -> str:
    lines = ["[core]\n\tbare = false\n"]
    for key, value in listed:
        if _FORMAT.fullmatch(key) and _PLAIN.fullmatch(value):
            section, _, name = key.partition(".")
            lines.append(f"[{section}]\n\t{name} = {value}\n")
    return "".join(lines)
