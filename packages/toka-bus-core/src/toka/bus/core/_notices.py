"""What parts of a system tell each other that is no fact of the kernel: trouble, and use.

A kernel's facts (`toka.kernel`) are decided, stored and replayed; a notice is none of that. It is
published, heard by who listens, and gone. Each is checked when it is made, so that what is on a bus
is within its limits; of `time` that can only be said beside a clock, by `check_time`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import attrs

from toka.bus.core._errors import InvalidNotice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toka.types import AgentId

E = TypeVar("E", bound=StrEnum)

DAY: Final = 24 * 3600 * 10**9
"""Nanoseconds: the longest duration, and how far a time may be from now."""

MAX_AMOUNT: Final = 10**12
MAX_IO_BYTES: Final = 10**11
MAX_METADATA: Final = 50

_AGENT_CHARACTERS: Final = 256
_KEY_CHARACTERS: Final = 100
_VALUE_CHARACTERS: Final = 1_000


class Severity(StrEnum):
    """How bad a failure is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Category(StrEnum):
    """Of what a failure is one."""

    SECURITY = "security"
    NETWORK = "network"
    STORAGE = "storage"
    AGENT = "agent"
    TASK = "task"
    RESOURCE = "resource"
    CONFIGURATION = "configuration"
    OTHER = "other"


class Check(StrEnum):
    """What a value was held against."""

    JSON_SCHEMA = "json_schema"
    DATA_FORMAT = "data_format"
    BUSINESS_RULE = "business_rule"
    SECURITY_CONSTRAINT = "security_constraint"
    OTHER = "other"


class Resource(StrEnum):
    """What there was not enough of."""

    MEMORY = "memory"
    CPU = "cpu"
    DISK = "disk"
    NETWORK = "network"
    FILE_HANDLES = "file_handles"
    DATABASE_CONNECTIONS = "database_connections"
    OTHER = "other"


class Transfer(StrEnum):
    """Which way bytes went."""

    FILE_READ = "file_read"
    FILE_WRITE = "file_write"
    NETWORK_READ = "network_read"
    NETWORK_WRITE = "network_write"
    DATABASE_READ = "database_read"
    DATABASE_WRITE = "database_write"
    OTHER = "other"


def _is_text(value: object, least: int, most: int) -> bool:
    return isinstance(value, str) and least <= len(value) <= most


def _text(least: int, most: int) -> Callable[[Notice, attrs.Attribute[str], str], None]:
    def check(notice: Notice, field: attrs.Attribute[str], value: object) -> None:
        if not _is_text(value, least, most):
            raise InvalidNotice(notice.kind, field.name, f"{least} to {most} characters")

    return check


def _whole(most: int) -> Callable[[Notice, attrs.Attribute[int], int], None]:
    def check(notice: Notice, field: attrs.Attribute[int], value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise InvalidNotice(notice.kind, field.name, f"a whole number from 0 to {most}")

    return check


def _agent(notice: Notice, field: attrs.Attribute[AgentId], value: object) -> None:
    if not _is_text(value, 1, _AGENT_CHARACTERS):
        raise InvalidNotice(notice.kind, field.name, f"1 to {_AGENT_CHARACTERS} characters")


def _percent(notice: Notice, field: attrs.Attribute[float], value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:  # noqa: PLR2004
        raise InvalidNotice(notice.kind, field.name, "a number from 0 to 100")


def _one_of(members: type[E]) -> Callable[[Notice, attrs.Attribute[E], E], None]:
    def check(notice: Notice, field: attrs.Attribute[E], value: object) -> None:
        if not isinstance(value, members):
            raise InvalidNotice(notice.kind, field.name, f"a {members.__name__}")

    return check


def _metadata(
    notice: Notice,
    field: attrs.Attribute[Mapping[str, str]],
    value: Mapping[str, str],
) -> None:
    if len(value) > MAX_METADATA or not all(
        _is_text(key, 1, _KEY_CHARACTERS) and _is_text(text, 0, _VALUE_CHARACTERS)
        for key, text in value.items()
    ):
        limit = f"{MAX_METADATA} entries, of {_KEY_CHARACTERS} and {_VALUE_CHARACTERS} characters,"
        raise InvalidNotice(notice.kind, field.name, f"at the most {limit}")


@attrs.frozen(kw_only=True)
class Notice:
    """The base of all notices."""

    kind: ClassVar[str] = "notice"
    """A dotted name that subscribers choose by."""
    time: int = attrs.field(validator=_whole(2**63 - 1))
    """Nanoseconds since the Unix epoch."""

    def check_time(self, now: int) -> None:
        """Refuse a notice that is not of about now, for whoever takes notices from elsewhere.

        Args:
            now: Nanoseconds since the Unix epoch, of a clock.

        Raises:
            InvalidNotice: Its time is more than a day off.
        """
        if abs(self.time - now) > DAY:
            raise InvalidNotice(self.kind, "time", "within a day of now")


@attrs.frozen(kw_only=True)
class SystemFailed(Notice):
    """A part of the system could not do its work."""

    kind: ClassVar[str] = "system.failed.v1"
    category: Category = attrs.field(validator=_one_of(Category))
    severity: Severity = attrs.field(validator=_one_of(Severity))
    code: str = attrs.field(validator=_text(1, 100))
    component: str = attrs.field(validator=_text(1, 200))
    metadata: Mapping[str, str] = attrs.field(factory=dict, converter=dict, validator=_metadata)


@attrs.frozen(kw_only=True)
class ValidationFailed(Notice):
    """A value was not of the form that was expected."""

    kind: ClassVar[str] = "validation.failed.v1"
    check: Check = attrs.field(validator=_one_of(Check))
    data: str = attrs.field(validator=_text(0, 1_000))
    """What was found, or its beginning."""
    expected: str = attrs.field(validator=_text(0, 1_000))


@attrs.frozen(kw_only=True)
class ResourceExhausted(Notice):
    """More was asked for than there is."""

    kind: ClassVar[str] = "resource.exhausted.v1"
    resource: Resource = attrs.field(validator=_one_of(Resource))
    requested: int = attrs.field(validator=_whole(MAX_AMOUNT))
    available: int = attrs.field(validator=_whole(MAX_AMOUNT))
    agent: AgentId | None = attrs.field(default=None, validator=attrs.validators.optional(_agent))


@attrs.frozen(kw_only=True)
class MemoryAllocated(Notice):
    """An agent holds more memory."""

    kind: ClassVar[str] = "memory.allocated.v1"
    agent: AgentId = attrs.field(validator=_agent)
    amount: int = attrs.field(validator=_whole(MAX_AMOUNT))
    """Bytes."""
    total: int = attrs.field(validator=_whole(MAX_AMOUNT))
    """Bytes, these included."""


@attrs.frozen(kw_only=True)
class ProcessorUsed(Notice):
    """An agent has kept a processor busy."""

    kind: ClassVar[str] = "processor.used.v1"
    agent: AgentId = attrs.field(validator=_agent)
    percent: float = attrs.field(validator=_percent)
    duration: int = attrs.field(validator=_whole(DAY))
    """Nanoseconds."""


@attrs.frozen(kw_only=True)
class BytesTransferred(Notice):
    """An agent has read or written."""

    kind: ClassVar[str] = "bytes.transferred.v1"
    agent: AgentId = attrs.field(validator=_agent)
    transfer: Transfer = attrs.field(validator=_one_of(Transfer))
    size: int = attrs.field(validator=_whole(MAX_IO_BYTES))
    duration: int = attrs.field(validator=_whole(DAY))
    """Nanoseconds."""
