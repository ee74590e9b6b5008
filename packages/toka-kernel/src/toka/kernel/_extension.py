"""Families of operations that the kernel itself does not know, decided by handlers.

A registry belongs to one kernel. A handler keeps its state as a persistent map from text to JSON,
so that snapshots and digests need nothing from it, and it obeys the kernel's rules: no clock, no
I/O, no randomness, and the same answer to the same arguments.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.kernel._errors import ExtensionConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from toka.capability.core import Claims
    from toka.kernel._event import Ids
    from toka.kernel._rejection import Rejection
    from toka.kernel._tables import Table
    from toka.types import Extension

    Slot = Table[str, msgspec.Raw]

_PREFIX: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")


@attrs.frozen
class ExtensionFact:
    """What a handler decides; the kernel makes the event."""

    name: str
    """Dotted, with a version, for example `ledger.minted.v1`."""
    data: msgspec.Raw


class ExtensionHandler(Protocol):
    """Decides and applies the operations of one family."""

    def decide(
        self, slot: Slot, operation: Extension, claims: Claims, now: int, ids: Ids, /
    ) -> tuple[ExtensionFact, ...] | Rejection:
        """Return what happens, or why not; the permission for the target is checked already."""
        ...

    def evolve(self, slot: Slot, fact: ExtensionFact, /) -> Slot:
        """Return the family's state after `fact`."""
        ...


class ExtensionRegistry:
    """The handlers of one kernel, each under the prefix of its opcodes."""

    def __init__(self) -> None:
        self._handlers: dict[str, ExtensionHandler] = {}

    def register(self, prefix: str, handler: ExtensionHandler) -> None:
        """Let `handler` decide every opcode that begins with `prefix` and a dot.

        Raises:
            ExtensionConflictError: The prefix is no dotted name, or it has a handler, or one of
                its beginnings or continuations has.

        """
        if not _PREFIX.fullmatch(prefix):
            raise ExtensionConflictError(
                f"{prefix[:80]!r} cannot be a prefix of opcodes.",
                hint="Use lower-case names with dots between them, for example 'ledger'.",
            )
        for other in self._handlers:
            if f"{prefix}.".startswith(f"{other}.") or f"{other}.".startswith(f"{prefix}."):
                raise ExtensionConflictError(
                    f"Opcodes under {prefix!r} cannot be registered: {other!r} has a handler.",
                    details={"prefix": prefix, "registered": other},
                )
        self._handlers[prefix] = handler

    def family_of(self, opcode: str) -> str | None:
        """Return the prefix whose handler decides `opcode`, or None."""
        prefix, dot, _ = opcode.rpartition(".")
        while dot:
            if prefix in self._handlers:
                return prefix
            prefix, dot, _ = prefix.rpartition(".")
        return None

    def handler(self, family: str) -> ExtensionHandler | None:
        """Return the handler of a family, or None."""
        return self._handlers.get(family)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._handlers))

    def __len__(self) -> int:
        return len(self._handlers)
