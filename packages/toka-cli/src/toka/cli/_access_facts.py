"""What is public of how a data directory checks tokens: its key's name, and what was taken back."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from toka.orchestration_service import Key, Revocation, moment
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.cli._data_directory import DataDirectory
    from toka.orchestration_service import AccessFacts
    from toka.revocation import Entry


class DirectoryFacts:
    """Tells a service of the access to its data directory, as it is at the moment."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data

    async def keys(self) -> Sequence[Key]:
        """Return the one key, since when its file is there; nothing of its secret.

        Raises:
            KeyFileError: It cannot be read any more.
        """
        from toka.auth import KeyFile  # noqa: PLC0415 - not for --help

        since = moment(self._data.key.stat().st_mtime_ns)
        return (Key(KeyFile.load(self._data.key).kid, "HS256", "signs", since, None),)

    async def revocations(self, after: int, limit: int) -> Sequence[Revocation]:
        """Return what was taken back behind a revision, oldest first.

        Raises:
            RevocationUnavailable: The file cannot be read.
        """
        from toka.revocation import SqliteLog  # noqa: PLC0415 - not for --help

        found: list[Revocation] = []
        with closing(SqliteLog(self._data.revocations)) as log:
            while len(found) < limit:
                entries = await log.read(found[-1].revision if found else after)
                if not entries:
                    break
                found.extend(_told(entry) for entry in entries)
        return found[:limit]


def _told(entry: Entry) -> Revocation:
    taken = entry.revocation
    return Revocation(
        entry.revision,
        taken.kind.value,
        taken.target,
        taken.vault,
        moment(entry.revoked_at * NANOSECONDS),
        None if taken.until is None else moment(taken.until * NANOSECONDS),
        taken.reason,
    )


if TYPE_CHECKING:
    _implements: type[AccessFacts] = DirectoryFacts
