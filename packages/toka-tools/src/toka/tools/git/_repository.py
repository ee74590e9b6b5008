"""Finding a repository, and what of it a caller may see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from toka.tools._errors import FileAccessError, PathDeniedError, RepositoryError
from toka.tools.files._paths import demand, file_request, resolve
from toka.tools.files._whole import read_whole

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace

PROGRAM_REQUEST: Final = "proc:run:git"
MAX_SMALL_FILE: Final = 1 << 20
"""Bytes of what Git keeps in files of a line or a page."""


@attrs.frozen
class Repository:
    """Where a repository is: real paths."""

    root: str
    """Of the working tree."""
    directory: str
    """What belongs to this working tree: `.git`, or a directory in another one."""
    common: str
    """What belongs to all working trees of the repository; often the same."""

    @property
    def requests(self) -> tuple[str, ...]:
        """What has to be granted before Git is asked about it."""
        places = dict.fromkeys((self.root, self.directory, self.common))
        return (PROGRAM_REQUEST, *[file_request("read", place) for place in places])

    def demand(self, context: ToolContext) -> None:
        """Check at the point of use that all of it is granted.

        Raises:
            PathDeniedError: It is not.
        """
        for place in (self.root, self.directory, self.common):
            demand("read", place, context)

    def shows(self, path: str, context: ToolContext) -> bool:
        """Say whether the caller may read a path of this repository, at whatever commit."""
        try:
            return context.granted.covers(file_request("read", f"{self.root}/{path}")) is not None
        except PathDeniedError:
            return False


def find_repository(path: str, workspace: Workspace) -> Repository:
    """Return the repository in whose working tree a path lies.

    Raises:
        PathDeniedError: The path, or what it leads to, is never allowed.
        RepositoryError: There is none, or it is not written as Git writes one.
    """
    start = resolve(path, workspace)
    for folder in (Path(start), *Path(start).parents):
        entry = folder / ".git"
        if os.path.lexists(entry):
            return _repository(str(folder), str(entry), workspace)
    raise RepositoryError(
        f"{start} is in no working tree of Git.", hint="Pass the directory of one as `path`."
    )


def _repository(root: str, entry: str, workspace: Workspace) -> Repository:
    real = resolve(entry, workspace)
    if not os.path.isdir(real):  # noqa: PTH112 - real paths are plain text here
        said = read_whole(real, MAX_SMALL_FILE).decode("utf-8", "surrogateescape")
        if not said.startswith("gitdir: "):
            raise RepositoryError(f"{real} does not say where the repository is.")
        real = resolve(os.path.join(root, said.removeprefix("gitdir: ").strip()), workspace)  # noqa: PTH118 - see above
    common = real
    try:
        said = (
            read_whole(f"{real}/commondir", MAX_SMALL_FILE)
            .decode("utf-8", "surrogateescape")
            .strip()
        )
        common = resolve(os.path.join(real, said), workspace)  # noqa: PTH118 - see above
    except FileAccessError:
        pass  # A repository of its own has no such file.
    return Repository(root, real, common)
