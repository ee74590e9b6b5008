"""State machines for the tests of what goes around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from raft_core import Entry, MalformedSnapshotError

if TYPE_CHECKING:
    from raft_core import Command


@attrs.define
class Journal:
    """Keeps every command it was given; answers with how many that makes."""

    commands: list[bytes] = attrs.field(factory=list)
    times: list[int] = attrs.field(factory=list)

    def apply(self, command: Command) -> bytes:
        self.commands.append(command.data)
        self.times.append(command.time)
        return b"%d" % len(self.commands)

    def snapshot(self) -> bytes:
        return b"\n".join(self.commands)

    def restore(self, data: bytes) -> None:
        if data.startswith(b"\xff"):
            raise MalformedSnapshotError("no journal")
        self.commands = data.split(b"\n") if data else []


@attrs.define
class Log:
    """Makes the entries that one leader after the other commits."""

    entries: list[Entry] = attrs.field(factory=list)

    def add(self, data: bytes, *, term: int = 1) -> Entry:
        self.entries.append(Entry(term, len(self.entries) + 1, data))
        return self.entries[-1]
