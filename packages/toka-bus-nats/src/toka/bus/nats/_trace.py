"""The trace of an item on its way: W3C Trace Context, in the header `traceparent` of its message.

Who may publish may write any header. What is not well formed is as good as none (Trace Context
section 3.2.2.3, 4.3), and of what is well formed only the four fields of version 00 are handed on,
so nothing else of a stranger's text reaches a log or another header.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = "traceparent"

_MAX_CHARACTERS: Final = 256
"""Later versions may say more than version 00; not without end."""

_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})"
    r"(?P<fields>-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})"
    r"(?P<more>-.*)?",
    re.DOTALL,
)


class Traced(Protocol):
    """Who knows what is being traced, such as `toka.runtime.Tracing` or `Telemetry.tracing`."""

    @property
    def current(self) -> str:
        """The open span as a `traceparent`; empty if nobody records it."""
        ...


def well_formed(traceparent: str) -> str:
    """Return what version 00 can say of a `traceparent`; empty if it is malformed."""
    if len(traceparent) > _MAX_CHARACTERS:
        return ""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or (match["version"] == "00" and match["more"]):
        return ""
    return f"00{match['fields']}"


def trace_in(headers: Mapping[str, str] | None) -> str:
    """Return the `traceparent` of a message; empty if it has none, or a malformed one."""
    return well_formed((headers or {}).get(HEADER, ""))


def headers_of(tracing: Traced | None) -> dict[str, str]:
    """Return the headers that tell of the open span; none if there is none."""
    traceparent = well_formed(tracing.current) if tracing else ""
    return {HEADER: traceparent} if traceparent else {}
