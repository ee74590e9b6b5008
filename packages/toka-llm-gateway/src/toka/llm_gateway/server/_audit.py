"""What is written down of each call: who asked what of whom, and what it took. No contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self

import attrs
import msgspec

from toka.llm_gateway._errors import ConfigurationInvalid

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class AuditRecord:
    """One request to the gateway, answered or not."""

    time_ns: int
    """When it came, since the Unix epoch."""
    id: str
    """The gateway's name for it; the answer's `x-request-id`."""
    tenant: str
    path: str
    model: str
    """The name that was asked for."""
    status: int
    """Of the answer; of a stream that broke, what it would have been."""
    code: str = ""
    """Why there was no answer."""
    provider: str = ""
    answered_by: str = ""
    """The model that answered, as its provider names it."""
    streamed: bool = False
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_usd: int | None = None
    duration_ns: int = 0
    provider_request_id: str = ""


class Audit(Protocol):
    """Takes records."""

    def note(self, record: AuditRecord) -> None:
        """Keep a record."""
        ...


class NoAudit:
    """Keeps nothing."""

    def note(self, record: AuditRecord) -> None:
        del record


class JsonLinesAudit:
    """Appends records to a file, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending.

        Raises:
            ConfigurationInvalid: It cannot be opened.

        """
        try:
            self._file: Final = path.open("ab", buffering=0)
        except OSError as error:
            raise ConfigurationInvalid(
                f"The audit file {path} cannot be opened: {error.strerror}."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note(self, record: AuditRecord) -> None:
        # One write a line: lines of several processes do not mix (POSIX, O_APPEND).
        self._file.write(msgspec.json.encode(record) + b"\n")
