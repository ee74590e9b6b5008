"""Errors of the kernel package.

    TokaError
    `-- KernelError
        |-- UnknownKindError        an event of a kind that this version does not know
        |-- ReplayError             an event that does not fit the state it is applied to
        |-- SnapshotError           bytes that are not a snapshot of this version, or are damaged
        `-- ExtensionConflictError  two handlers for one family of opcodes

A request that is refused is none of these: it is a `Rejection`, a value.
"""

from typing import ClassVar

from toka.types import TokaError


class KernelError(TokaError):
    """The base of what the kernel raises."""

    default_code: ClassVar[str] = "kernel.error"


class UnknownKindError(KernelError, LookupError):
    """An event has a kind that this version does not know, or bytes that are not of its kind."""

    default_code: ClassVar[str] = "kernel.unknown_kind"


class ReplayError(KernelError, ValueError):
    """An event does not fit the state it is applied to: the log has a gap or another order."""

    default_code: ClassVar[str] = "kernel.replay"


class SnapshotError(KernelError, ValueError):
    """The bytes are no snapshot, are damaged, or were written by a newer version."""

    default_code: ClassVar[str] = "kernel.snapshot"


class ExtensionConflictError(KernelError, ValueError):
    """A family of opcodes has a handler already, or its prefix cannot be one."""

    default_code: ClassVar[str] = "kernel.extension_conflict"
